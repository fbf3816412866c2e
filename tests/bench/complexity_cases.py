"""What each command is asked to do while a dataset grows, and how its time may grow with it.

A line is a command as it is sent, with these stand-ins, N being the size of every collection in the dataset:
`{half}` is N/2, `{last}` N-1, `{i}` a number that is new with every call, `{all}` N words (0, 1, 2 …),
`{pairs}` N times a number and a word, `{text}` N times the letter a; `{stars}`, `{any}`, `{classes}` and
`{escapes}` are patterns that such a text is hard to match with. A command behind `=>` is timed, what stands
before it prepares it each time.
"""

from __future__ import annotations

DATASET = (
    "SET string {bytes}",
    "MSET {keys}",
    "RPUSH list {all}",
    "RPUSH numbers {all}",
    "SADD set {words}",
    "SADD set2 {words}",
    "HSET hash {fields}",
    "ZADD zset {pairs}",
    "ZADD zset2 {pairs}",
    "ZADD equal {zeros}",
    "PFADD hll {all}",
    "GEOADD geo {places}",
    "SET {text} v",
    "SADD texts {text}",
    "HSET texts:h {text} v",
    "ZADD texts:z 1 {text}",
    "ACL SETUSER limited on +get {~classes}",
    "{entries}",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group consumer STREAMS stream >",
    "XGROUP CREATE stream reader 0",
)

STAYS = """
GET key:{half}; GETRANGE string {half} {half}; SUBSTR string {half} {half}; APPEND string x; STRLEN string
SETRANGE string {half} x; INCR counter; DECR counter; INCRBY counter 2; DECRBY counter 2
INCRBYFLOAT counter 1; MGET key:{half} key:0; SET key:{half} x; SETEX key:{half} 100 x
PSETEX key:{half} 100000 x; SETNX key:{half} x; MSET key:{half} x; MSETNX key:{half} x
GETSET key:{half} x; SET tmp x => GETDEL tmp; GETEX key:{half}; LCS key:0 key:1; SETBIT string {half} 1
GETBIT string {half}; BITCOUNT string 0 10; BITPOS string 1 0 10; BITFIELD string GET u8 {half}
BITFIELD_RO string GET u8 {half}; BITOP NOT tmp key:0; LPUSH list x => LPOP list
RPUSH list x => RPOP list; LPUSH list x; RPUSH list x; LPUSHX list x; RPUSHX list x; LMPOP 1 list LEFT
LMOVE list list LEFT RIGHT; RPOPLPUSH list list; BLPOP list 0; BRPOP list 0; BLMPOP 0 1 list LEFT
BLMOVE list list LEFT RIGHT 0; BRPOPLPUSH list list 0; LLEN list; LRANGE list 0 9; LRANGE list -10 -1
LPUSH list a => LTRIM list 1 -1; LINDEX list 5; LINDEX list -5; LSET list 5 x; LSET list -5 x
RPUSH list 0 => LPOS list 0 MAXLEN 5; SRANDMEMBER set; SRANDMEMBER set 5; SRANDMEMBER set -5; SSCAN set 0
SADD tmp:s a b => SUNION tmp:s tmp:s; SADD tmp:s w:1 => SINTER set tmp:s
SADD tmp:s w:1 => SINTER tmp:s set; SADD tmp:s w:1 => SDIFF tmp:s set; SINTERCARD 2 set tmp:s
SUNIONSTORE tmp tmp:s tmp:s; SINTERSTORE tmp set tmp:s; SDIFFSTORE tmp tmp:s set; SADD set new:{i}
SADD set x => SREM set x; SADD set x => SMOVE set tmp:s2 x; SPOP set; SISMEMBER set w:5
SMISMEMBER set w:5 w:6; SCARD set; HRANDFIELD hash; HRANDFIELD hash 5; HRANDFIELD hash -5; HSCAN hash 0
HSET hash f:{half} x; HSET hash new:{i} x; HMSET hash f:{half} x; HSETNX hash new:{i} x
HSET hash x y => HDEL hash x; HINCRBY hash number 1; HINCRBYFLOAT hash number 1; HGET hash f:{half}
HMGET hash f:{half} f:0; HLEN hash; HEXISTS hash f:{half}; HSTRLEN hash f:{half}
HEXPIRE hash 1000 FIELDS 1 f:{half}; HPEXPIRE hash 1000000 FIELDS 1 f:{half}
HEXPIREAT hash 2000000000 FIELDS 1 f:{half}; HPEXPIREAT hash 2000000000000 FIELDS 1 f:{half}
HPERSIST hash FIELDS 1 f:{half}; HTTL hash FIELDS 1 f:{half}; HPTTL hash FIELDS 1 f:{half}
HEXPIRETIME hash FIELDS 1 f:{half}; HPEXPIRETIME hash FIELDS 1 f:{half}; HGETEX hash FIELDS 1 f:{half}
HSET hash x y => HGETDEL hash FIELDS 1 x; HSETEX hash EX 1000 FIELDS 1 x y; ZPOPMIN zset; ZPOPMAX zset
ZMPOP 1 zset MIN; BZPOPMIN zset 0; BZPOPMAX zset 0; BZMPOP 0 1 zset MIN; ZRANDMEMBER zset
ZRANDMEMBER zset 5; ZSCAN zset 0; ZADD zset {half} new:{i}; ZINCRBY zset 1 w:{half}
ZADD zset 5 x => ZREM zset x; ZCARD zset; ZSCORE zset w:{half}; ZMSCORE zset w:{half} w:5
ZRANK zset w:{half}; ZREVRANK zset w:{half}; ZCOUNT zset 10 {half}; ZLEXCOUNT equal [w:1 [w:5
ZRANGE zset {half} {half}; ZRANGE zset {half} ({half} BYSCORE WITHSCORES; ZREVRANGE zset {half} {half}
ZRANGEBYSCORE zset {half} {half}
ZREVRANGEBYSCORE zset {half} {half}; ZRANGEBYLEX equal [w:1 [w:10; ZREVRANGEBYLEX equal [w:10 [w:1
ZRANGESTORE tmp zset {half} {half}; ZREMRANGEBYRANK zset {half} {half}
ZADD zset {half} x => ZREMRANGEBYSCORE zset {half} {half}; ZADD equal 0 a => ZREMRANGEBYLEX equal [a [a
ZADD tmp:z 1 w:5 => ZINTER 2 zset2 tmp:z; ZINTERCARD 2 zset2 tmp:z; ZINTERSTORE tmp 2 zset2 tmp:z
ZDIFF 2 tmp:z zset2; ZDIFFSTORE tmp 2 tmp:z zset2; ZUNION 2 tmp:z tmp:z; ZUNIONSTORE tmp 2 tmp:z tmp:z
EXPIRE key:{half} 1000; PEXPIRE key:{half} 1000000; EXPIREAT key:{half} 2000000000; TTL key:{half}
PEXPIREAT key:{half} 2000000000000; PTTL key:{half}; EXPIRETIME key:{half}; PEXPIRETIME key:{half}
PERSIST key:{half}; SET tmp x => DEL tmp; SET tmp x => UNLINK tmp; EXISTS key:{half}; TOUCH key:{half}
TYPE list; SET tmp x => RENAME tmp tmp2; SET tmp x => RENAMENX tmp tmp3:{i}; COPY string tmp REPLACE
SET tmp:{i} x => RANDOMKEY; SET move:{i} x => MOVE move:{i} 1; OBJECT ENCODING list; OBJECT IDLETIME list
OBJECT REFCOUNT list; DUMP key:0; SCAN 0; DBSIZE; WAIT 0 0; SORT tmp:s ALPHA; SORT_RO tmp:s ALPHA
GEOADD geo 13 38 new:{i}; GEOPOS geo w:{half}; GEOHASH geo w:{half}; GEODIST geo w:{half} w:0
PFADD hll x:{i}; PFCOUNT hll; PFMERGE tmp hll; XRANGE stream - + COUNT 5; XREVRANGE stream + - COUNT 5
XCLAIM stream group other 1000000 {half}-1; XAUTOCLAIM stream group other 1000000 0 COUNT 1
XACK stream group {half}-1; XPENDING stream group; XPENDING stream group - + 5
XREAD COUNT 5 STREAMS stream {half}; XREADGROUP GROUP reader c COUNT 1 STREAMS stream >; XADD stream * f v
XLEN stream; XDEL stream {half}-1; XADD stream * f v => XTRIM stream MAXLEN ~ 1000000
XSETID stream 9000000000000-0; XINFO STREAM stream; XINFO GROUPS stream; XINFO CONSUMERS stream group
"""
"""The time stays, or grows as a logarithm does, however large the collections are."""

GROWS = """
GETRANGE string 0 -1; GET string; BITCOUNT string; BITPOS string 0; BITOP AND tmp string string
MGET {all}; MSET {keys}; DEL tmp:a => MSETNX {keys}; DUMP list; DUMP set; DUMP zset; DUMP hash
DUMP string; DEL tmp => RPUSH tmp {all}; DEL tmp => LPUSH tmp {all}
COPY list tmp REPLACE => LPOP tmp {half}; COPY list tmp REPLACE => RPOP tmp {half}
COPY list tmp REPLACE => LMPOP 1 tmp LEFT COUNT {half}; LRANGE list 0 -1
COPY list tmp REPLACE => LTRIM tmp {half} {half}; LINDEX list {half}; LSET list {half} x
COPY list tmp REPLACE => LINSERT tmp BEFORE {half} x; COPY list tmp REPLACE => LREM tmp 0 {half}
LPOS list {last}; SRANDMEMBER set {half}; SRANDMEMBER set -{half}; SUNION set set2; SINTER set set2
SDIFF set set2; SINTERCARD 2 set set2; SUNIONSTORE tmp set set2; SINTERSTORE tmp set set2
SDIFFSTORE tmp set set2; SMEMBERS set; DEL tmp => SADD tmp {all}; COPY set tmp REPLACE => SREM tmp {words}
COPY set tmp REPLACE => SPOP tmp {half}; SMISMEMBER set {words}; SSCAN set 0 COUNT {half}
HRANDFIELD hash {half}; HRANDFIELD hash -{half}; HSCAN hash 0 COUNT {half}; DEL tmp => HSET tmp {fields}
COPY hash tmp REPLACE => HDEL tmp {words}; HMGET hash {words}; HGETALL hash; HKEYS hash; HVALS hash
COPY hash tmp REPLACE => HEXPIRE tmp 1000 FIELDS {count} {words}; HTTL hash FIELDS {count} {words}
ZPOPMIN tmp; COPY zset tmp REPLACE => ZPOPMIN tmp {half}; COPY zset tmp REPLACE => ZPOPMAX tmp {half}
ZRANDMEMBER zset {half}; ZSCAN zset 0 COUNT {half}; DEL tmp => ZADD tmp {pairs}; ZMSCORE zset {words}
COPY zset tmp REPLACE => ZREM tmp {words}; ZUNION 2 zset zset2; ZINTER 2 zset zset2; ZDIFF 2 zset zset2
ZINTERCARD 2 zset zset2; ZUNIONSTORE tmp 2 zset zset2; ZINTERSTORE tmp 2 zset zset2
ZDIFFSTORE tmp 2 zset zset2; COPY zset tmp REPLACE => ZREMRANGEBYRANK tmp 0 {half}
COPY zset tmp REPLACE => ZREMRANGEBYSCORE tmp 0 {half}; COPY equal tmp REPLACE => ZREMRANGEBYLEX tmp - +
ZRANGE zset 0 -1; ZREVRANGE zset 0 -1 WITHSCORES; ZRANGEBYSCORE zset -inf +inf
ZREVRANGEBYSCORE zset +inf -inf; ZRANGEBYLEX equal - +; ZREVRANGEBYLEX equal + -
ZRANGESTORE tmp zset 0 -1; ZRANGEBYSCORE zset -inf +inf LIMIT {half} 5; EXISTS {words}; KEYS *
KEYS key:1*; SCAN 0 COUNT {half}; COPY list tmp REPLACE; COPY zset tmp REPLACE; SORT numbers
SORT_RO numbers; SORT numbers BY nosort; SORT numbers LIMIT 0 5; COPY list tmp REPLACE => DEL tmp
GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 500 km; GEOSEARCHSTORE tmp geo FROMLONLAT 15 37 BYBOX 900 900 km
GEORADIUS geo 15 37 500 km; GEORADIUS_RO geo 15 37 500 km; GEORADIUSBYMEMBER geo w:0 500 km
GEORADIUSBYMEMBER_RO geo w:0 500 km; GEOPOS geo {words}; GEOHASH geo {words}
DEL tmp => GEOADD tmp {places}; DEL tmp => PFADD tmp {all}; XRANGE stream - +; XREVRANGE stream + -
XREAD STREAMS stream 0; COPY stream tmp REPLACE => XTRIM tmp MAXLEN 1; XPENDING stream group - + {half}
XREADGROUP GROUP group consumer STREAMS stream 0; XINFO STREAM stream FULL COUNT {half}
XAUTOCLAIM stream group other 1000000 0 COUNT {half}; COPY stream tmp REPLACE => XDEL tmp {ids}
"""
"""The time grows as N does, or as N log N."""

MULTIPLIES = """
KEYS {stars}; KEYS {any}; KEYS {classes}; KEYS {escapes}; SCAN 0 COUNT 100000 MATCH {classes}
SSCAN texts 0 MATCH {stars}; SSCAN texts 0 MATCH {any}; SSCAN texts 0 MATCH {classes}
SSCAN texts 0 MATCH {escapes}; HSCAN texts:h 0 MATCH {classes}; ZSCAN texts:z 0 MATCH {classes}
PUBLISH {text} m; PUBSUB CHANNELS {classes}; CONFIG GET {classes}; COMMAND LIST FILTERBY PATTERN {classes}
FUNCTION LIST LIBRARYNAME {classes}; ACL DRYRUN limited GET {text}
"""
"""The time grows at most as N times N does: a pattern of N bytes on a text of N bytes."""
