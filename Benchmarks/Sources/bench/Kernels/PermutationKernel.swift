import Foundation
import Interactions
import Kernels
import Measuring

extension KernelCase {
  /// The order of a step's rows.
  static func permutation(batch: Int) -> KernelCase {
    let order = EpochOrder(count: 37_508, shard: 0, epoch: 0, seed: 1)
    let rows = AlignedBuffer<Int>(count: batch)
    return KernelCase(
      name: "permutation", work: KernelWork(rows: Double(batch), bytes: 0, operations: 0),
      hasRoof: false
    ) {
      unsafe order.fill(rows.pointer, positions: 0..<batch)
    }
  }
}
