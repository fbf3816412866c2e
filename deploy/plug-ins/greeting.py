"""A command of your own: GREET key puts a greeting into the string a key holds, and returns it."""

from shoal.node.commands.call import Call
from shoal.node.commands.registry import command
from shoal.node.commands.spec import Flag, KeyUse, key_arg, one_key
from shoal.node.resp.replies import Reply


@command(
    "GREET", arity=2, flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST, group="string", since="1.0.0",
    complexity="O(1)", summary="Greets whom a key names.", keys=one_key(KeyUse.RW | KeyUse.UPDATE),
    arguments=(key_arg(),),
)  # fmt: skip
def greet(call: Call, key: bytes) -> Reply:
    greeting = b"Hello, " + bytes(call.db.change_string(key) or b"stranger") + b"!"
    call.db.set(key, greeting, keep_expiry=True)
    call.db.changed(key, "greet")
    call.propagate(b"SET", key, greeting, b"KEEPTTL")
    return greeting
