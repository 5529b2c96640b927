import Interactions
import Kernels
import Measuring

extension KernelCase {
  /// One unlabeled item for each row, outside of what its user met, on the real log.
  static func sampler(_ session: Session) throws -> KernelCase {
    let shard = try Dataset.open(try session.logs.mainDataset()).shard(0)
    let sampler = UnlabeledSampler(shard: shard, seed: 1)
    let count = unsafe min(8192, shard.train.users.count)
    let order = unsafe EpochOrder(count: shard.train.users.count, shard: 0, epoch: 0, seed: 1)
    let rows = AlignedBuffer<Int>(count: count)
    let users = AlignedBuffer<UInt32>(count: count)
    let items = AlignedBuffer<UInt32>(count: count)
    unsafe order.fill(rows.pointer, positions: 0..<count)
    for index in 0..<count {
      unsafe users.pointer[index] = unsafe shard.train.users[rows.pointer[index]]
    }
    return KernelCase(
      name: "sampler", work: KernelWork(rows: Double(count), bytes: 0, operations: 0),
      hasRoof: false
    ) {
      unsafe sampler.sample(
        into: items.pointer, rows: UnsafeBufferPointer(rows.elements),
        users: UnsafeBufferPointer(users.elements), epoch: 0)
    }
  }
}
