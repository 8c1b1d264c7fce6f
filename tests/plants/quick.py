"""Which report the plants are judged on."""

from reports.claims.claim import Context

QUICK = Context()
