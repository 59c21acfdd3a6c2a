"""Leaves out requests whose line exceeds the limit of the HTTP layer, whose refusals have no body (docs/graph.md, "Errors")."""

from urllib.parse import urlencode

import schemathesis

LONGEST = 60_000


@schemathesis.hook
def filter_case(context, case):
    return len(urlencode(case.query or {}, doseq=True)) + 3 * len(case.formatted_path) < LONGEST
