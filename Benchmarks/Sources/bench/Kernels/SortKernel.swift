import Kernels
import Measuring
import Sharding

extension KernelCase {
  /// Grouping the positions of a batch by item.
  static func sort(_ problem: BatchProblem) -> KernelCase {
    let rows = Double(problem.batch)
    let segments = SegmentSort(capacity: problem.batch)
    return KernelCase(
      name: "sort", work: KernelWork(rows: rows, bytes: 0, operations: 0), hasRoof: false
    ) {
      unsafe segments.sort(
        problem.itemIndex.pointer, count: problem.batch, bound: problem.items.held.count)
    }
  }
}
