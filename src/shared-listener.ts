/**
 * One listener for many emitters, which is told by which of them it is called. A closure for each emitter would be some
 * hundred bytes that every idle connection keeps (docs/performance.md).
 */
export function sharedListener<Emitter, Args extends readonly unknown[]>(
  heard: (emitter: Emitter, ...args: Args) => void,
): (this: Emitter, ...args: Args) => void {
  return function (this: Emitter, ...args: Args) {
    heard(this, ...args);
  };
}
