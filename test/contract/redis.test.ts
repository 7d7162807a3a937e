import { describeWithRedis } from "../support/redis.ts";
import { bansContract } from "./bans-contract.ts";
import { directoryContract } from "./directory-contract.ts";
import { logContract } from "./log-contract.ts";
import { presenceContract } from "./presence-contract.ts";
import { redisWorld } from "./redis-world.ts";

describeWithRedis("the log in Redis", () => logContract(redisWorld));
describeWithRedis("bans in Redis", () => bansContract(redisWorld));
describeWithRedis("presence in Redis", () => presenceContract(redisWorld));
describeWithRedis("the directory of rooms in Redis", () => directoryContract(redisWorld));
