# Three stages: everything that building needs, what running needs, and the image that only has the latter.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without the packages' own scripts: the `node` package would bring a second Node.
RUN npm ci --include=dev --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/
COPY src src
COPY web/docs web/docs
RUN node scripts/build.mjs

FROM node:24-slim AS production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
LABEL org.opencontainers.image.title="Roomcast" \
      org.opencontainers.image.description="Realtime rooms on Socket.IO that lose no acknowledged message" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production
# One arena for all threads: 1.5 KiB less of resident memory for each joined client (docs/performance.md).
ENV MALLOC_ARENA_MAX=1
WORKDIR /app
COPY --from=production /app/node_modules node_modules
COPY --from=build /app/dist dist
# Readable for that user, whatever the umask of the checkout was.
COPY --chown=node package.json ./
COPY --chown=node web/demo web/demo
USER node
# Public (Socket.IO, the demo) and private (health, metrics, drain).
EXPOSE 3000 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ADMIN_PORT || 9464}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The process takes SIGTERM itself, and drains.
CMD ["node", "--enable-source-maps", "dist/main.js"]
