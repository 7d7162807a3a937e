import { describeWithRedis } from "../support/redis.ts";
import { logContract } from "./log-contract.ts";
import { presenceContract } from "./presence-contract.ts";
import { redisWorld } from "./redis-world.ts";

describeWithRedis("the log in Redis", () => logContract(redisWorld));
describeWithRedis("presence in Redis", () => presenceContract(redisWorld));
