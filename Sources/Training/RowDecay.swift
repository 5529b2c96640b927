import Kernels

/// The decay of the rows that a batch reads, of strength λ (`--row-decay`):
///
///     ½ λ · mean over the batch's terms of the squared norms of the rows each term reads
///
/// A term is a row of the batch, or a pair, whose user counts once. He et al., *LightGCN*, SIGIR
/// 2020, equation 15, by mini-batches as in the authors' program. Biases count as part of a row.
@safe
final class RowDecay {
  private let users: AlignedBuffer<Float>
  private let items: AlignedBuffer<Float>
  private let strength: Double

  /// Room for batches of `capacity` rows; `nil` without decay.
  init?(_ configuration: TrainingConfiguration, capacity: Int) {
    guard configuration.rowDecay > 0 else { return nil }
    strength = configuration.rowDecay
    users = AlignedBuffer(count: capacity)
    items = AlignedBuffer(count: capacity)
  }

  /// The weights of a batch whose rows are terms, `terms` over the whole job.
  func ofRows(_ batch: StepBatch, terms: Int) -> BatchDecay {
    let weight = weight(terms: terms)
    unsafe users.pointer.update(repeating: weight, count: batch.count)
    unsafe items.pointer.update(repeating: weight, count: batch.count)
    return unsafe BatchDecay(users: users.pointer, items: items.pointer)
  }

  /// The weights of a batch of pairs, `terms` over the whole job.
  func ofPairs(_ batch: StepBatch, terms: Int) -> BatchDecay {
    let weight = weight(terms: terms)
    for shard in batch.labeledCounts.indices {
      let start = batch.start(of: shard)
      let pairs = start + batch.labeledCounts[shard]..<batch.end(of: shard)
      unsafe (users.pointer + start).update(repeating: 0, count: pairs.lowerBound - start)
      unsafe (items.pointer + start).update(repeating: 0, count: pairs.lowerBound - start)
      for pair in pairs {
        unsafe users.pointer[pair] = weight
        unsafe items.pointer[pair] = weight
        unsafe items.pointer[start &+ Int(batch.partners.pointer[pair])] += weight
      }
    }
    return unsafe BatchDecay(users: users.pointer, items: items.pointer)
  }

  private func weight(terms: Int) -> Float { Float(strength / Double(max(1, terms))) }
}
