import { describe, expect, it } from "vitest";
import { MissingRight, RoomcastError } from "../../src/errors.ts";
import { storeFailure } from "../../src/redis/failure.ts";
import { versionProblem } from "../../src/redis/server-version.ts";

describe("what a failed command is answered with", () => {
  it.each([
    "READONLY You can't write against a read only replica. script: abc, on @user_script:1.",
    "LOADING Redis is loading the dataset in memory",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots",
    "CLUSTERDOWN The cluster is down",
    "MASTERDOWN Link with MASTER is down",
    "NOREPLICAS Not enough good replicas to write.",
    "TRYAGAIN the log was ahead of its head",
    "BUSY Redis is busy running a script.",
    "NOSCRIPT No matching script.",
    "Connection is closed.",
    "Stream isn't writeable and enableOfflineQueue options is false",
    "Command aborted due to connection close",
  ])("[G5] `unavailable`: %s", (message) => {
    const cause = new Error(message);
    const failure = storeFailure(cause);
    expect(failure).toMatchObject({ code: "unavailable", cause });
    expect(failure).toBeInstanceOf(RoomcastError);
  });

  it.each(["ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNREFUSED"])("[G5] `unavailable`: %s", (code) => {
    expect(storeFailure(Object.assign(new Error("write"), { code }))).toMatchObject({ code: "unavailable" });
  });

  it.each(["WRONGTYPE Operation", "ERR unknown command", "OOMPH", "a NOPERM"])("as it is: %s", (message) => {
    const cause = new Error(message);
    expect(storeFailure(cause)).toBe(cause);
  });

  it.each([
    "NOPERM this user has no permissions to run the 'evalsha' command",
    "NOAUTH Authentication required.",
    "ERR The user executing the script can't run this command or subcommand script: abc, on @user_script:1.",
    "ERR ACL failure in script: No permissions to access a channel script: abc, on @user_script:1.",
  ])("that a right is missing: %s", (message) => {
    const failure = storeFailure(new Error(message));
    expect(failure).toBeInstanceOf(MissingRight);
    expect(failure.message).toBe(message);
  });

  it("tells nobody what the command held", () => {
    const error = Object.assign(new Error("WRONGTYPE x"), { command: { name: "evalsha", args: ["a secret"] } });
    expect(JSON.stringify(storeFailure(error))).not.toContain("secret");
    expect(storeFailure("text")).toBeInstanceOf(Error);
  });
});

describe("the server's version", () => {
  it.each([
    "redis_version:7.0.15\r\nredis_mode:standalone",
    "# Server\r\nredis_version:8.2.1",
    "redis_version:10.0.0",
    "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0",
  ])("is new enough: %j", (info) => {
    expect(versionProblem(info)).toBeUndefined();
  });

  it.each([
    ["redis_version:6.2.14\r\n", "Roomcast needs Redis 7 or newer, or Valkey, and found Redis 6.2.14."],
    ["nothing", "Roomcast needs Redis 7 or newer, or Valkey, and found a server of unknown version."],
  ])("%j ends in one sentence", (info, sentence) => {
    expect(versionProblem(info)).toBe(sentence);
  });
});
