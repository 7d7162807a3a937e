import type { RequestHandler } from "express";
import helmet from "helmet";

/**
 * Headers for pages of ours: they load nothing from elsewhere, run nothing that is written into them, and stand in no frame.
 * `forms`: where their forms may go.
 */
export function strictHeaders(forms: "'none'" | "'self'"): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", "data:"],
        // Includes ws: and wss: to the same host and port.
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: [forms],
        frameAncestors: ["'none'"],
      },
    },
    // Whoever ends TLS decides this: the node itself speaks plain HTTP, for names that are not its own.
    strictTransportSecurity: false,
  });
}
