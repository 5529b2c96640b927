import Kernels
import Measuring
import Sharding

extension KernelCase {
  /// Grouping the positions of a batch by item.
  static func sort(_ problem: BatchProblem) -> KernelCase {
    let segments = SegmentSort(capacity: problem.batches[0].count)
    let bound = problem.items.held.count
    return KernelCase(
      name: "sort", work: KernelWork(rows: problem.rows, bytes: 0, operations: 0), hasRoof: false
    ) {
      let batch = problem.next()
      unsafe segments.sort(batch.itemIndex.pointer, count: batch.count, bound: bound)
    }
  }
}
