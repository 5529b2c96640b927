import Checkpoints
import Fabric
import Foundation
import Storage
import Synchronization

/// The best model so far, as long as no checkpoint has published it.
enum PendingBest: Sendable {
  /// The model that is being written, with the content of its `state.json`.
  case current(state: [UInt8])
  /// Its tensors are on the disk.
  case staged(StagedBest)
  /// The disk would not take it, and the model has gone on since.
  case held(HeldBest)
}

/// A copy of the parameters of an earlier step.
struct HeldBest: Sendable {
  let step: Int
  /// The content of its `state.json`.
  let state: [UInt8]
  let copy: SlabCopy
  /// The first so many tensors of the copy are parameters.
  let count: Int

  func stage(
    in store: CheckpointStore, _ metadata: [String: String], _ group: any ProcessGroup
  ) throws -> StagedBest {
    defer { withExtendedLifetime(copy) {} }
    return unsafe try store.stageBest(
      step: step, model: Array(copy.slabs.prefix(count)), state: state, metadata: metadata,
      group: group)
  }
}

/// What came of writing a checkpoint.
struct CheckpointOutcome: Sendable {
  /// On all ranks or on none.
  var failure: Failure?
  /// What still waits to be published.
  var best: PendingBest?
}

/// What a checkpoint holds beside tensors.
struct CheckpointContent: Sendable {
  let step: Int
  let state: [UInt8]
  let metadata: [String: String]
  var best: PendingBest?

  /// Writes the checkpoint; the best model is published before it gets its name, and not at all if
  /// it does not get that far. A collective.
  ///
  /// - Returns: Also an error of the disk, after which the group can be used on.
  /// - Throws: What the group throws.
  func save(
    _ model: [TensorSlab], _ optimizer: [TensorSlab], in store: CheckpointStore,
    group: any ProcessGroup
  ) throws -> CheckpointOutcome {
    var pending = best
    do {
      switch best {
      case .current(let state):
        pending = .staged(
          try store.stageBest(
            step: step, model: model, state: state, metadata: metadata, group: group))
      case .held(let held): pending = .staged(try held.stage(in: store, metadata, group))
      case .staged, nil: break
      }
      var staged: StagedBest?
      if case .staged(let ready)? = pending { staged = ready }
      _ = try store.save(
        step: step, model: model, optimizer: optimizer, state: state, metadata: metadata,
        publishing: staged, group: group)
      return CheckpointOutcome(failure: nil, best: nil)
    } catch let failure as Failure where failure.isOfDisk {
      return CheckpointOutcome(failure: failure, best: pending)
    }
  }
}

/// Something done on a thread of its own.
final class BackgroundWork<Value: Sendable>: Sendable {
  private let result = Mutex<Result<Value, any Error>?>(nil)
  private let end = DispatchSemaphore(value: 0)

  init(_ body: @escaping @Sendable () throws -> Value) {
    Thread { [self] in
      let result = Result { try body() }
      self.result.withLock { $0 = result }
      end.signal()
    }.start()
  }

  /// Whether it is done.
  var isDone: Bool { result.withLock { $0 != nil } }

  /// Returns when it is done; to be called once.
  ///
  /// - Returns: What it returned.
  /// - Throws: What it threw.
  func wait() throws -> Value {
    end.wait()
    guard let result = result.withLock({ $0 }) else {
      preconditionFailure("work that has ended has a result")
    }
    return try result.get()
  }
}

extension Failure {
  /// Whether it came to all ranks alike, from the disk, so that all may try again. Whatever else goes
  /// wrong goes wrong on one of them, and the others must not be left waiting.
  var isOfDisk: Bool { kind == .inputOutput }
}
