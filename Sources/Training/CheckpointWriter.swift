import Checkpoints
import Fabric
import Foundation
import Storage

/// Writes the checkpoints of a run: a model of a few megabytes on one rank while training goes on.
///
/// There the disk, not the processor, would make up a good part of a short run. So a copy of the
/// model is saved on a thread of its own, by the same steps in the same order; an error shows at
/// the next call. A larger model, which a copy would double, and that of several ranks, who write
/// together, are saved before the call returns.
///
/// A checkpoint on the way that cannot be written is a warning, and tried again after some steps, the
/// more the longer it goes on; the one at the end is tried again at once, a few times. See
/// docs/decisions/0007-checkpoints.md.
final class CheckpointWriter {
  /// What to do about checkpoints that cannot be written.
  struct Policy {
    /// Whether it ends the run, also on the way.
    var isRequired: Bool
    /// Seconds between the tries at the end.
    var pauses: [Double]
    /// Called with one line, on every rank.
    var warn: (String) -> Void
  }

  /// The most bytes of parameters and state of which a copy is made.
  private static let largestCopy = 8 << 20

  private let store: CheckpointStore
  private let model: Model
  private let metadata: [String: String]
  private let group: any ProcessGroup
  private let policy: Policy
  /// A best model that the next checkpoint publishes, so that `best` is never ahead of a state that
  /// a resumed run would not find.
  private var best: PendingBest?
  private var unfinished: (work: BackgroundWork<CheckpointOutcome>, step: Int)?
  /// Of the parameters, then of the state; kept, because fresh memory costs more than copying.
  private var copy: SlabCopy?
  private var retries = RetryPlan()

  /// - Parameters:
  ///   - store: Where checkpoints go.
  ///   - model: What they hold.
  ///   - metadata: Strings for the header of model files.
  ///   - group: The ranks.
  ///   - policy: What to do about errors.
  init(
    store: CheckpointStore, model: Model, metadata: [String: String], group: any ProcessGroup,
    policy: Policy
  ) {
    self.store = store
    self.model = model
    self.metadata = metadata
    self.group = group
    self.policy = policy
  }

  // MARK: On the way

  /// Whether a checkpoint that failed is to be tried again after this step: the same on every rank.
  ///
  /// - Throws: The failure of a checkpoint, if checkpoints are required.
  func isRetryDue(after step: Int) throws -> Bool {
    if unfinished?.work.isDone == true { try finish() }
    return retries.isDue(after: step)
  }

  /// Keeps the model as the best so far until a checkpoint publishes it. A collective.
  ///
  /// - Parameters:
  ///   - step: Steps done.
  ///   - state: The content of the best model's `state.json`.
  /// - Throws: As ``save(step:state:best:)``.
  func stageBest(step: Int, state: [UInt8]) throws {
    try finish()
    best = nil
    guard !retries.isWaiting(at: step) else { return hold(state, step) }
    do {
      best = .staged(
        try store.stageBest(
          step: step, model: model.parameterSlabs(rank: group.rank), state: state,
          metadata: metadata, group: group))
    } catch let failure as Failure where failure.isOfDisk {
      hold(state, step)
      try note(failure, step)
    }
  }

  /// Writes a checkpoint and, before it gets its name, the best model: the one that waits, or this. A
  /// collective.
  ///
  /// While an earlier one is waiting to be tried again nothing is written.
  ///
  /// - Parameters:
  ///   - step: Steps done.
  ///   - state: The content of `state.json`.
  ///   - best: If this is the best model so far, the content of the best model's `state.json`.
  /// - Throws: The failure of this checkpoint or the one before, the same kind on all ranks, if
  ///   checkpoints are required; what the group throws.
  func save(step: Int, state: [UInt8], best: [UInt8]?) throws {
    try finish()
    if retries.isWaiting(at: step) {
      if let best { hold(best, step) }
      return
    }
    let content = makeContent(step, state, best)
    let parameters = model.parameterSlabs(rank: group.rank)
    let moments = model.stateSlabs(rank: group.rank)
    guard group.size == 1, SlabCopy.byteCount(of: parameters + moments) <= Self.largestCopy else {
      return try take(
        try content.save(parameters, moments, in: store, group: group), of: step)
    }
    let (copy, count, store) = (copied(parameters + moments), parameters.count, store)
    let position = group.position
    let work = BackgroundWork {
      let slabs = unsafe copy.slabs
      defer { withExtendedLifetime(copy) {} }
      return try content.save(
        Array(slabs.prefix(count)), Array(slabs.dropFirst(count)), in: store,
        group: SoloGroup(position: position))
    }
    unfinished = (work, step)
  }

  /// Returns when all that was begun is written or has failed.
  ///
  /// - Throws: As ``save(step:state:best:)``.
  func finish() throws {
    guard let (work, step) = unfinished else { return }
    unfinished = nil
    try take(try work.wait(), of: step, copiedTo: copy)
  }

  // MARK: At the end

  /// Writes the last checkpoint of a process. A collective.
  ///
  /// - Parameters:
  ///   - step: Steps done.
  ///   - state: The content of `state.json`.
  ///   - best: As for ``save(step:state:best:)``.
  /// - Throws: `Failure` of kind `inputOutput` after some tries; what the group throws.
  func saveAtEnd(step: Int, state: [UInt8], best: [UInt8]?) throws {
    try finish()
    var content = makeContent(step, state, best)
    let parameters = model.parameterSlabs(rank: group.rank)
    let moments = model.stateSlabs(rank: group.rank)
    try insist("the checkpoint after step \(step)") {
      let outcome = try content.save(parameters, moments, in: store, group: group)
      content.best = outcome.best
      return outcome.failure
    }
    self.best = nil
    noteSuccess(step)
  }

  /// Makes the model the best one. A collective.
  ///
  /// - Throws: As ``saveAtEnd(step:state:best:)``.
  func publishAtEnd(step: Int, state: [UInt8]) throws {
    try finish()
    let parameters = model.parameterSlabs(rank: group.rank)
    try insist("the best model") {
      do {
        let staged = try store.stageBest(
          step: step, model: parameters, state: state, metadata: metadata, group: group)
        _ = try store.publish(staged, group: group)
        return nil
      } catch let failure as Failure where failure.isOfDisk {
        return failure
      }
    }
    best = nil
  }

  /// Runs `body`, on all ranks alike, until it does not fail.
  private func insist(_ what: String, _ body: () throws -> Failure?) throws {
    for pause in policy.pauses {
      guard let failure = try body() else { return }
      policy.warn("\(what) was not written: \(failure.message); trying again in \(pause) s")
      Thread.sleep(forTimeInterval: pause)
    }
    guard let failure = try body() else { return }
    throw Failure(
      .inputOutput,
      "\(what) was not written in \(policy.pauses.count + 1) tries: \(failure.message); the ones "
        + "before it are as they were: make room, then go on with --resume")
  }

  // MARK: Outcomes

  private func makeContent(_ step: Int, _ state: [UInt8], _ best: [UInt8]?) -> CheckpointContent {
    // A new best model takes the place of one that waits.
    if let best { self.best = .current(state: best) }
    return CheckpointContent(step: step, state: state, metadata: metadata, best: self.best)
  }

  /// Remembers what became of a checkpoint.
  ///
  /// - Parameters:
  ///   - outcome: Of writing it.
  ///   - step: Steps done.
  ///   - copy: Where the parameters of that step are, if the model has gone on since.
  /// - Throws: Its failure, if checkpoints are required.
  private func take(
    _ outcome: CheckpointOutcome, of step: Int, copiedTo copy: SlabCopy? = nil
  ) throws {
    best = outcome.best
    if case .current(let state)? = outcome.best {
      if let copy {
        let count = model.parameterSlabs(rank: group.rank).count
        best = .held(HeldBest(step: step, state: state, copy: copy, count: count))
        self.copy = nil
      } else {
        hold(state, step)
      }
    }
    if let failure = outcome.failure {
      try note(failure, step)
    } else {
      noteSuccess(step)
    }
  }

  private func noteSuccess(_ step: Int) {
    guard retries.succeed() else { return }
    policy.warn("checkpoints are written again: \(CheckpointStore.name(of: step))")
  }

  private func note(_ failure: Failure, _ step: Int) throws {
    if policy.isRequired { throw failure }
    let next = retries.fail(at: step)
    policy.warn(
      "the checkpoint after step \(step) was not written: \(failure.message); training goes on, the "
        + "checkpoints before it are as they were, next try after step \(next)")
  }

  /// Keeps a copy of the parameters until they can be written.
  private func hold(_ state: [UInt8], _ step: Int) {
    let parameters = model.parameterSlabs(rank: group.rank)
    best = .held(
      HeldBest(
        step: step, state: state, copy: SlabCopy(parameters), count: parameters.count))
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
}

/// When a checkpoint that failed is tried again: after 8 steps, and twice as many each time it fails
/// again, up to 4,096. By steps, so that all ranks agree.
struct RetryPlan {
  static let firstPause = 8
  static let longestPause = 4096
  private var pause = 0
  private var next: Int?

  /// Whether it is time.
  func isDue(after step: Int) -> Bool { next.map { step >= $0 } ?? false }

  /// Whether it is too early.
  func isWaiting(at step: Int) -> Bool { next.map { step < $0 } ?? false }

  /// - Returns: The step after which to try again.
  mutating func fail(at step: Int) -> Int {
    pause = pause == 0 ? Self.firstPause : min(2 * pause, Self.longestPause)
    next = step + pause
    return step + pause
  }

  /// - Returns: Whether something had failed before.
  mutating func succeed() -> Bool {
    defer { self = RetryPlan() }
    return next != nil
  }
}
