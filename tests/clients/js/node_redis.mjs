// node-redis in everyday use: `node node_redis.mjs MODE PORT...`, in the modes alone, guarded and cluster.

import assert from "node:assert/strict";
import { createClient, createCluster, RESP_TYPES, WatchError } from "redis";
import { answered, everyByte, everyNodeKeys, HOST, mode, ports, run, whileMoved } from "./scenarios.mjs";

const url = (port) => `redis://${HOST}:${port}`;

const alone = async () => {
  const client = await createClient({ url: `${url(ports[0])}/2`, name: "shop" }).connect();
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  return {
    async "negotiates RESP3 and names itself"() {
      const told = await client.sendCommand(["CLIENT", "INFO"]);
      for (const part of [/name=shop /, /resp=3/, /db=2 /, /lib-name=node-redis/]) assert.match(told, part);
    },

    async "brings values of every type back"() {
      assert.equal(await client.set("text", "value", { expiration: { type: "EX", value: 100 } }), "OK");
      assert.deepEqual(await client.mGet(["text", "missing"]), ["value", null]);
      assert.equal(await client.incr("count"), 1);
      assert.equal(Number(await client.incrByFloat("price", 1.5)), 1.5);
      await client.hSet("hash", { a: 1, b: "two" });
      assert.deepEqual({ ...(await client.hGetAll("hash")) }, { a: "1", b: "two" });
      await client.rPush("list", ["1", "2", "3"]);
      assert.deepEqual(await client.lRange("list", 0, -1), ["1", "2", "3"]);
      await client.sAdd("set", ["x", "y"]);
      assert.deepEqual([...(await client.sMembers("set"))].sort(), ["x", "y"]);
      await client.zAdd("zset", [{ score: 0.5, value: "low" }, { score: Infinity, value: "high" }]);
      assert.equal(await client.zScore("zset", "low"), 0.5);
      assert.deepEqual(
        (await client.zRangeWithScores("zset", 0, -1)).map(({ value, score }) => [value, score]),
        [["low", 0.5], ["high", Infinity]],
      );
      assert.ok([99, 100].includes(await client.ttl("text")));
    },

    async "keeps bytes of any kind and length"() {
      const large = Buffer.concat(Array(4096).fill(everyByte));
      await client.set(everyByte, large);
      assert.ok(large.equals(await bytes.get(everyByte)));
    },

    async "pipelines what is asked at once"() {
      const replies = await Promise.all(Array.from({ length: 500 }, () => client.incr("steps")));
      assert.deepEqual(replies, Array.from({ length: 500 }, (_, step) => step + 1));
    },

    async "runs transactions"() {
      assert.deepEqual(await client.multi().set("a", 1).incr("a").exec(), ["OK", 2]);
      const other = await client.duplicate().connect();
      await other.watch("a");
      await client.set("a", "changed by another");
      await assert.rejects(other.multi().set("a", "lost").exec(), WatchError);
      other.destroy();
    },

    async "scans"() {
      const found = [];
      for await (const keys of client.scanIterator({ COUNT: 2 })) found.push(...keys);
      assert.equal(new Set(found).size, await client.dbSize());
    },

    async "tells errors"() {
      await assert.rejects(client.incr("list"), /WRONGTYPE Operation against a key/);
      await assert.rejects(client.sendCommand(["NONSENSE"]), /unknown command/);
    },
  };
};

const guarded = () => {
  const connect = (password) =>
    createClient({ url: url(ports[0]), password, socket: { reconnectStrategy: false } }).connect();
  return {
    async "comes in with the password"() {
      assert.equal(await (await connect("correct horse")).set("key", "value"), "OK");
    },

    async "is refused without"() {
      await assert.rejects(connect("wrong"), /WRONGPASS invalid username-password pair/);
      await assert.rejects(connect(undefined), /NOAUTH/);
    },
  };
};

const cluster = async () => {
  const rootNodes = [{ url: url(ports[0]) }];
  const client = await createCluster({ rootNodes }).connect();
  const readers = await createCluster({ rootNodes, useReplicas: true }).connect();
  return {
    async "finds every node from one"() {
      assert.deepEqual(client.masters.map(({ port }) => port).sort(), ports.slice(0, 3).sort());
      assert.deepEqual(readers.replicas.map(({ port }) => port).sort(), ports.slice(3).sort());
    },

    async "reaches keys of all slots"() {
      await Promise.all(everyNodeKeys.map((key, number) => client.set(key, number)));
      const read = await Promise.all(everyNodeKeys.map((key) => client.get(key)));
      assert.deepEqual(read, everyNodeKeys.map((_, number) => String(number)));
    },

    async "takes keys of one hash tag together and no others"() {
      await client.mSet({ "{user}a": "1", "{user}b": "2" });
      assert.deepEqual(await client.mGet(["{user}a", "{user}b"]), ["1", "2"]);
      assert.deepEqual(await client.multi().incr("{user}a").incr("{user}b").exec(), [2, 3]);
      await assert.rejects(client.rename("a", "b"), /CROSSSLOT Keys in request don.t hash to the same slot/);
    },

    async "follows a slot to its new owner"() {
      await client.set("key", "value");
      await whileMoved("elsewhere", "key", async () => assert.equal(await client.append("key", "!"), 6));
      assert.equal(await client.get("key"), "value!");
    },

    async "asks the importing node"() {
      await whileMoved("halfway", "key", async () => {
        assert.equal(await client.get("key"), "value!");
        assert.equal(await client.set("{key}fresh", 1), "OK");
      });
      assert.equal(await client.get("{key}fresh"), "1");
    },

    async "reads from replicas"() {
      for (const [number, key] of everyNodeKeys.slice(0, 30).entries())
        assert.equal(await answered(() => readers.get(key)), String(number));
    },
  };
};

await run(await { alone, guarded, cluster }[mode]());
