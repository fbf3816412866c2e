// ioredis in everyday use: `node ioredis.mjs MODE PORT...`, in the modes alone, guarded and cluster.

import assert from "node:assert/strict";
import { Cluster, Redis } from "ioredis";
import { answered, everyByte, everyNodeKeys, HOST, mode, ports, run, whileMoved } from "./scenarios.mjs";

const alone = () => {
  const client = new Redis({ host: HOST, port: ports[0], connectionName: "shop" });
  return {
    async "negotiates RESP3 and names itself"() {
      const told = await client.client("INFO");
      for (const part of [/name=shop /, /resp=3/, /lib-name=ioredis/]) assert.match(told, part);
      assert.match(await client.info("server"), /redis_mode:standalone/);
    },

    async "brings values of every type back"() {
      assert.equal(await client.set("text", "value", "EX", 100), "OK");
      assert.deepEqual(await client.mget("text", "missing"), ["value", null]);
      assert.equal(await client.incr("count"), 1);
      assert.equal(Number(await client.incrbyfloat("price", 1.5)), 1.5);
      await client.hset("hash", { a: 1, b: "two" });
      assert.deepEqual({ ...(await client.hgetall("hash")) }, { a: "1", b: "two" });
      await client.rpush("list", 1, 2, 3);
      assert.deepEqual(await client.lrange("list", 0, -1), ["1", "2", "3"]);
      await client.sadd("set", "x", "y");
      assert.deepEqual([...(await client.smembers("set"))].sort(), ["x", "y"]);
      await client.zadd("zset", 0.5, "low", 2, "high");
      assert.equal(Number(await client.zscore("zset", "low")), 0.5);
      assert.deepEqual((await client.zrange("zset", 0, -1, "WITHSCORES")).flat().map(String), ["low", "0.5", "high", "2"]);
      assert.ok([99, 100].includes(await client.ttl("text")));
    },

    async "keeps bytes of any kind and length"() {
      const large = Buffer.concat(Array(4096).fill(everyByte));
      await client.set(everyByte, large);
      assert.ok(large.equals(await client.getBuffer(everyByte)));
    },

    async "pipelines"() {
      const pipeline = client.pipeline();
      for (let step = 0; step < 500; step++) pipeline.incr("steps");
      const replies = await pipeline.lpush("steps", "x").exec();
      assert.deepEqual(replies.slice(0, 500), Array.from({ length: 500 }, (_, step) => [null, step + 1]));
      assert.match(replies[500][0].message, /^WRONGTYPE/);
    },

    async "runs transactions"() {
      assert.deepEqual(await client.multi().set("a", 1).incr("a").exec(), [[null, "OK"], [null, 2]]);
      const other = client.duplicate();
      await client.watch("a");
      await other.set("a", "changed by another");
      assert.equal(await client.multi().set("a", "lost").exec(), null);
      await other.quit();
    },

    async "scans"() {
      const found = [];
      for await (const keys of client.scanStream({ count: 2 })) found.push(...keys);
      assert.equal(new Set(found).size, await client.dbsize());
    },

    async "tells errors"() {
      await assert.rejects(client.incr("list"), /^ReplyError: WRONGTYPE Operation against a key/);
      await assert.rejects(client.call("NONSENSE"), /unknown command/);
    },
  };
};

const guarded = () => {
  const connect = (password) => new Redis({ host: HOST, port: ports[0], password, retryStrategy: () => null });
  return {
    async "comes in with the password"() {
      assert.equal(await connect("correct horse").set("key", "value"), "OK");
    },

    async "is refused without"() {
      await assert.rejects(connect("wrong").get("key"), /WRONGPASS|NOAUTH/);
      await assert.rejects(connect(undefined).get("key"), /NOAUTH HELLO must be called with the client already authenticated/);
    },
  };
};

const cluster = () => {
  const client = new Cluster([{ host: HOST, port: ports[0] }]);
  const readers = new Cluster([{ host: HOST, port: ports[0] }], { scaleReads: "slave" });
  return {
    async "finds every node from one"() {
      await client.set("key", "value");
      assert.equal(client.nodes("master").length, 3);
      assert.equal(client.nodes("slave").length, 3);
    },

    async "reaches keys of all slots"() {
      await Promise.all(everyNodeKeys.map((key, number) => client.set(key, number)));
      const read = await Promise.all(everyNodeKeys.map((key) => client.get(key)));
      assert.deepEqual(read, everyNodeKeys.map((_, number) => String(number)));
      const sizes = await Promise.all(client.nodes("master").map((node) => node.dbsize()));
      assert.ok(sizes.every((size) => size > 50));
    },

    async "takes keys of one hash tag together and no others"() {
      await client.mset("{user}a", 1, "{user}b", 2);
      assert.deepEqual(await client.mget("{user}a", "{user}b"), ["1", "2"]);
      assert.deepEqual(await client.multi().incr("{user}a").incr("{user}b").exec(), [[null, 2], [null, 3]]);
      await assert.rejects(client.mget("a", "b"), /CROSSSLOT Keys in request don't hash to the same slot/);
    },

    async "follows a slot to its new owner"() {
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

await run({ alone, guarded, cluster }[mode]());
