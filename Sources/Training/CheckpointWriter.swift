import Checkpoints
import Fabric
import Foundation
import Synchronization

/// Writes the checkpoints of a run: a model of a few megabytes on one rank while training goes on.
///
/// There the disk, not the processor, would make up a good part of a short run. So a copy of the
/// model is saved on a thread of its own, by the same steps in the same order. An error shows at
/// the next call. A larger model, which a copy would double, and that of several ranks, who write
/// together, are saved before the call returns.
final class CheckpointWriter {
  /// The most bytes of parameters and state of which a copy is made.
  private static let largestCopy = 8 << 20

  private let store: CheckpointStore
  private let model: Model
  private let metadata: [String: String]
  private let group: any ProcessGroup
  /// A best model that the next checkpoint publishes, so that `best` is never ahead of a state that
  /// a resumed run would not find.
  private var staged: StagedBest?
  private var unfinished: BackgroundWork?
  /// Of the parameters, then of the state; kept, because fresh memory costs more than copying.
  private var copy: SlabCopy?

  /// - Parameters:
  ///   - store: Where checkpoints go.
  ///   - model: What they hold.
  ///   - metadata: Strings for the header of model files.
  ///   - group: The ranks.
  init(
    store: CheckpointStore, model: Model, metadata: [String: String], group: any ProcessGroup
  ) {
    self.store = store
    self.model = model
    self.metadata = metadata
    self.group = group
  }

  /// Keeps the model as the best so far until a checkpoint publishes it. A collective.
  ///
  /// - Throws: As ``finish()`` and `CheckpointStore.stageBest`.
  func stageBest(step: Int, state: [UInt8]) throws {
    try finish()
    staged = try store.stageBest(
      step: step, model: model.parameterSlabs(rank: group.rank), state: state, metadata: metadata,
      group: group)
  }

  /// Gives the staged best model, if there is one, its place. A collective.
  ///
  /// - Throws: As ``finish()`` and `CheckpointStore.publish`.
  func publishBest() throws {
    try finish()
    guard let best = staged else { return }
    staged = nil
    _ = try store.publish(best, group: group)
  }

  /// Writes a checkpoint and, before it, the best model: the staged one, or this. A collective.
  ///
  /// - Parameters:
  ///   - step: Steps done.
  ///   - state: The content of `state.json`.
  ///   - best: If this is the best model so far, the content of the best model's `state.json`.
  /// - Throws: As ``finish()`` and the saves of `CheckpointStore`.
  func save(step: Int, state: [UInt8], best: [UInt8]?) throws {
    try finish()
    let content = Content(
      step: step, state: state, metadata: metadata, best: best, staged: best == nil ? staged : nil)
    staged = nil
    let parameters = model.parameterSlabs(rank: group.rank)
    let moments = model.stateSlabs(rank: group.rank)
    guard group.size == 1, SlabCopy.byteCount(of: parameters + moments) <= Self.largestCopy else {
      return try content.save(parameters, moments, in: store, group: group)
    }
    let (copy, count, store) = (copied(parameters + moments), parameters.count, store)
    let position = group.position
    unfinished = BackgroundWork {
      let slabs = unsafe copy.slabs
      try content.save(
        Array(slabs.prefix(count)), Array(slabs.dropFirst(count)), in: store,
        group: SoloGroup(position: position))
      withExtendedLifetime(copy) {}
    }
  }

  private func copied(_ slabs: [TensorSlab]) -> SlabCopy {
    if let copy {
      copy.update(from: slabs)
      return copy
    }
    let first = SlabCopy(slabs)
    copy = first
    return first
  }

  /// Returns when all is written.
  ///
  /// - Throws: What went wrong in writing it.
  func finish() throws {
    guard let work = unfinished else { return }
    unfinished = nil
    try work.wait()
  }
}

/// What a checkpoint holds beside tensors.
private struct Content: Sendable {
  let step: Int
  let state: [UInt8]
  let metadata: [String: String]
  let best: [UInt8]?
  let staged: StagedBest?

  func save(
    _ model: [TensorSlab], _ optimizer: [TensorSlab], in store: CheckpointStore,
    group: any ProcessGroup
  ) throws {
    var staged = staged
    if let best {
      staged = try store.stageBest(
        step: step, model: model, state: best, metadata: metadata, group: group)
    }
    if let staged { _ = try store.publish(staged, group: group) }
    _ = try store.save(
      step: step, model: model, optimizer: optimizer, state: state, metadata: metadata,
      group: group)
  }
}

/// Something done on a thread of its own.
private final class BackgroundWork: Sendable {
  private let failure = Mutex<(any Error)?>(nil)
  private let isDone = DispatchSemaphore(value: 0)

  init(_ body: @escaping @Sendable () throws -> Void) {
    Thread { [self] in
      do {
        try body()
      } catch {
        failure.withLock { $0 = error }
      }
      isDone.signal()
    }.start()
  }

  /// Returns when it is done; to be called once.
  ///
  /// - Throws: What it threw.
  func wait() throws {
    isDone.wait()
    if let failure = failure.withLock({ $0 }) { throw failure }
  }
}
