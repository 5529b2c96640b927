import CAllocations
import Foundation

/// Whether ``allocations(during:)`` counts anything on this platform.
package var countsAllocations: Bool { inverse_counts_allocations() }

/// How often the calling thread has asked for memory so far.
package var allocationCount: Int { inverse_allocation_count() }

/// Counts how often the calling thread asks for memory while `body` runs: by Swift, by C and by
/// libraries, but not what other threads ask for, nor what is given back.
///
/// The count is exact and does not depend on the machine, but does on the optimizer: budgets hold
/// in release builds. With `INVERSE_TRACE_ALLOCATIONS` in the environment each allocation is
/// written to the standard error stream with those who called.
///
/// - Parameter body: Runs once.
/// - Returns: The number of calls of `malloc` and its relatives.
/// - Throws: What `body` throws.
package func allocations(during body: () throws -> Void) rethrows -> Int {
  let traces = ProcessInfo.processInfo.environment["INVERSE_TRACE_ALLOCATIONS"] != nil
  inverse_trace_allocations(traces)
  defer { inverse_trace_allocations(false) }
  let before = inverse_allocation_count()
  try body()
  return inverse_allocation_count() - before
}
