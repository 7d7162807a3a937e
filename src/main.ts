import { CONFIG_EXIT_CODE, type Config, ConfigError, parseConfig, reloadRoomTypes } from "./config/config.ts";
import type { RoomcastNode } from "./embedding.ts";
import { createNode } from "./node.ts";
import { createLogger, type Logger } from "./telemetry/log.ts";

function configure(): Config {
  try {
    return parseConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(CONFIG_EXIT_CODE);
  }
}

/** The first signal stops the node in order; a second one ends the process at once. */
function stopOnSignals(node: RoomcastNode, log: Logger): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, "stopping");
    node.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.fatal({ err: error }, "the stop failed");
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

/** `SIGHUP` reads the file of `ROOM_TYPES` again. A file with anything wrong in it changes nothing. */
function reloadOnSignal(node: RoomcastNode, log: Logger): void {
  process.on("SIGHUP", () => {
    try {
      node.replaceRoomTypes(reloadRoomTypes(process.env));
      log.info("the room types were read again");
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems : undefined;
      log.error(problems === undefined ? { err: error } : { problems }, "the room types stay as they were");
    }
  });
}

const config = configure();
const log = createLogger(config.logLevel, config.nodeName);
const node = createNode({ config, log, keepRequests: false });
stopOnSignals(node, log);
reloadOnSignal(node, log);
try {
  await node.start();
} catch (error) {
  log.fatal({ err: error }, error instanceof Error ? error.message : "the start failed");
  process.exit(1);
}
