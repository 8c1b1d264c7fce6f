"""For the test suites of other libraries: assertions, and strategies for hypothesis.

The strategies are in `reports.testing.strategies`, which needs the extra `testing` (hypothesis); the assertions need
only the toolkit itself.
"""

from reports.testing.assertions import assert_aligned, assert_contained, assert_holds

__all__ = ["assert_aligned", "assert_contained", "assert_holds"]
