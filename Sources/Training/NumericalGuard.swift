import Backbones
import Fabric
package import Interactions
import Sharding
import Storage

/// What becomes of a step whose numbers are not finite.
package enum NonfiniteReaction: String, Codable, Sendable, CaseIterable {
  /// The run ends with an error.
  case stop
  /// The step changes nothing, and the run goes on with the next one.
  case skipStep = "skip-step"
}

/// Keeps numbers that are not finite from spreading: the run stops, or the step is left out, on all
/// ranks alike.
///
/// To stop costs next to nothing: the kernels that write weights and moments notice what is not
/// finite, and what they noticed rides on a reduction of the next step, before that changes
/// anything. Only then the tensors are searched for the place. To leave a step out, it is tried on
/// copies of its rows first, with the same kernels, so that nothing has to be taken back but a
/// virtual step. See docs/decisions/0019-numbers-that-are-not-finite.md.
package final class NumericalGuard {
  /// Steps left out in a row after which a run gives up.
  package static let mostSkipped = 100

  /// What a rank says in the note of a reduction; the largest is heard, so it is never added up.
  private enum Note {
    static let stopRequest: Int64 = 1
    /// This step would make or has made something that is not finite.
    static let badStep: Int64 = 2
    /// The parameters hold something that is not finite.
    static let badParameters: Int64 = 4
  }

  let search: NonfiniteSearch
  private let group: any ProcessGroup
  private let isSkipping: Bool
  private let trials: Trials?
  private var isPoisoned = false
  private var lastUpdate = StepPosition(epoch: 0, step: 0, number: 0)
  private var hasExplained = false

  /// - Parameters:
  ///   - configuration: Says what to do.
  ///   - model: The parameters.
  ///   - dataset: Knows the external ids; without it places are named by dense ids.
  ///   - context: The ranks.
  package init(
    _ configuration: TrainingConfiguration, model: Model, dataset: Dataset? = nil,
    context: JobContext
  ) {
    search = NonfiniteSearch(model: model, dataset: dataset, group: context.group)
    group = context.group
    isSkipping = configuration.onNonfinite == .skipStep
    trials = isSkipping ? Trials(model) : nil
  }

  /// Whether steps are left out, and parameters that a virtual step moves have to be kept.
  var keepsParameters: Bool { isSkipping }

  // MARK: What a rank says and hears

  /// What this rank tells the others with a reduction.
  ///
  /// - Parameters:
  ///   - isStopRequested: Whether it was asked to stop.
  ///   - isFinite: Whether what it knows of the step is finite.
  /// - Returns: The note.
  func note(isStopRequested: Bool = false, isFinite: Bool = true) -> Int64 {
    (isStopRequested ? Note.stopRequest : 0) | (isFinite ? 0 : Note.badStep)
      | (isPoisoned ? Note.badParameters : 0)
  }

  /// Whether some rank was asked to stop. A request beside a bad step of another rank is heard with
  /// the next step.
  func isStopRequested(_ note: Int64) -> Bool { note & Note.stopRequest != 0 }

  /// Whether the rows of a pass can take the optimizer's step; always yes unless steps are left out.
  func canUpdate(_ pass: BatchPass, _ steps: OptimizerSteps) -> Bool {
    trials?.rowsStayFinite(pass, steps) ?? true
  }

  /// Judges a step by what all ranks said and by its losses, on all ranks alike.
  ///
  /// - Parameters:
  ///   - note: The largest note of the last reduction.
  ///   - loss: A loss, or several added up; the same on all ranks.
  ///   - position: The step.
  ///   - suspects: Where to look first.
  /// - Returns: Whether the step may go on; if not, it is to be left out.
  /// - Throws: `Failure` of kind software, the same on all ranks, unless steps are left out; what the
  ///   group throws.
  func accepts(
    _ note: Int64, loss: Double, _ position: StepPosition,
    suspects: @autoclosure () -> [NonfiniteSearch.Suspect]
  ) throws -> Bool {
    if note & Note.badParameters != 0 { throw try stop(lastUpdate, isLoss: false, []) }
    let isLoss = !loss.isFinite
    guard isLoss || note & Note.badStep != 0 else { return true }
    if !isSkipping { throw try stop(position, isLoss: isLoss, suspects()) }
    return false
  }

  /// As ``accepts(_:loss:_:suspects:)`` for the optimizer's step on dense parameters, whose
  /// gradient is the same on all ranks.
  func canUpdateDense(_ pass: BatchPass, _ steps: OptimizerSteps) -> Bool {
    trials?.denseStaysFinite(pass, steps) ?? true
  }

  /// Takes note of what an update has written; all ranks call it after the same steps.
  func observe(_ isFinite: Bool, _ position: StepPosition) {
    lastUpdate = position
    if !isFinite { isPoisoned = true }
  }

  /// Ends the run if some rank holds parameters that are not finite. A collective, to be called
  /// before they are evaluated or written.
  ///
  /// - Throws: `Failure` of kind software, the same on all ranks; what the group throws.
  func settle() throws {
    var notes = [note()]
    if group.size > 1 {
      unsafe try notes.withUnsafeMutableBufferPointer { unsafe try group.maximum($0) }
    }
    if notes[0] & Note.badParameters != 0 { throw try stop(lastUpdate, isLoss: false, []) }
  }

  // MARK: Words

  /// What to do, for messages.
  static let advice = "lower --rate, --inner-rate or --weight-decay"

  /// The record of a step that was left out; it says why the first time.
  func skipped(
    _ record: StepRecord, _ position: StepPosition, _ suspects: [NonfiniteSearch.Suspect]
  ) throws -> StepRecord {
    var skipped = StepRecord()
    skipped.isSkipped = true
    skipped.isStopRequested = record.isStopRequested
    guard !hasExplained else { return skipped }
    hasExplained = true
    skipped.reason = try search.find(suspects)?.description ?? Self.unknown
    return skipped
  }

  private static let unknown = "the optimizer's step overflows"

  private func stop(
    _ position: StepPosition, isLoss: Bool, _ suspects: [NonfiniteSearch.Suspect]
  ) throws -> Failure {
    let place = try search.find(suspects)?.description
    let time = "in epoch \(position.epoch + 1), step \(position.step + 1)"
    let what =
      isLoss
      ? "the loss is not a finite number \(time)" + (place.map { ": \($0)" } ?? "")
      : "\(place ?? Self.unknown) \(time)"
    return .software("\(what); \(Self.advice), or add --on-nonfinite skip-step")
  }
}

/// Optimizer steps on copies of rows.
private final class Trials {
  private let model: Model
  private let users: TrialUpdate
  private let items: TrialUpdate
  private let dense: TrialUpdate

  init(_ model: Model) {
    self.model = model
    users = TrialUpdate(of: model.users)
    items = TrialUpdate(of: model.items)
    dense = TrialUpdate(of: model.dense)
  }

  func rowsStayFinite(_ pass: BatchPass, _ steps: OptimizerSteps) -> Bool {
    let itemsStay = unsafe items.isFinite(
      model.items, steps.rows, index: pass.itemSums.keys, count: pass.itemSums.count,
      gradients: pass.itemSums.rows)
    guard itemsStay, model.hasUserRows else { return itemsStay }
    return unsafe users.isFinite(
      model.users, steps.rows, index: pass.userSums.keys, count: pass.userSums.count,
      gradients: pass.userSums.rows)
  }

  func denseStaysFinite(_ pass: BatchPass, _ steps: OptimizerSteps) -> Bool {
    guard model.backbone.trainsDense else { return true }
    return unsafe dense.isFinite(
      model.dense, steps.dense, index: model.denseKey, count: 1, gradients: pass.reduction.sum)
  }
}
