/** A signal as Socket.IO encoded it, with or without binary, in the namespace `/`. */
const SIGNAL = /^(?:2|5\d+-)\["signal",/;

/** Whether what Socket.IO's client writes, one packet or one and its attachments, is a signal. */
export function isSignal(packets: unknown): boolean {
  const first: unknown = Array.isArray(packets) ? packets[0] : packets;
  return typeof first === "string" && SIGNAL.test(first);
}

/** Whether its sender said that it may be lost. */
export function isVolatile(options: unknown): boolean {
  return typeof options === "object" && options !== null && "volatile" in options && options.volatile === true;
}

/** Of one encoded packet, or of it and its attachments, in characters and bytes. */
export function sizeOf(packets: unknown): number {
  if (Array.isArray(packets)) return packets.reduce((sum: number, packet: unknown) => sum + sizeOf(packet), 0);
  if (typeof packets === "string") return packets.length;
  return ArrayBuffer.isView(packets) ? packets.byteLength : 0;
}

/** Whether it is a frame already: the adapter's broadcasts carry one for all. */
export function isEncoded(options: unknown): boolean {
  return typeof options === "object" && options !== null && "wsPreEncodedFrame" in options;
}
