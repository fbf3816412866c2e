"""What a server wants the runtime to do, in order; the law of the list is that of `shoal.cluster.effects`."""

from __future__ import annotations

from shoal.cluster.effects import Effect

ServerEffect = Effect
