import Kernels
import Objectives
import Sharding

/// What one step did, the same on every rank.
package struct StepRecord {
  /// Labeled rows of the step, over all ranks.
  package var labeledRows = 0
  /// Pairs of the step, over all ranks; `nil` where the terms of the labeled loss are rows.
  package var pairs: Int?
  /// Sum of the labeled rows' or pairs' losses, before the step.
  package var labeledLoss = 0.0
  /// Sum of the unlabeled rows' losses.
  package var unlabeledLoss = 0.0
  package var unlabeledRows = 0
  /// The branch an inverse gradient step took.
  package var decision: Decision?
  /// Whether some rank was asked to stop.
  package var isStopRequested = false
  /// Whether the step was left out because a number was not finite: it changed nothing, and counts
  /// in no sum.
  package var isSkipped = false
  /// Why, for the first of a run.
  package var reason: String?

  package init() {}

  /// Terms of ``labeledLoss``.
  package var lossTerms: Int { pairs ?? labeledRows }
}

/// The branch of an inverse gradient step.
package enum Decision: Int, Sendable, Codable {
  /// `θ − α d(g)`: the unlabeled rows were labeled well.
  case direct
  /// `θ`: neither helps.
  case none
  /// `θ + α d(g)`: the unlabeled rows were labeled wrongly.
  case inverse

  /// Chooses by the labeled losses of the three candidates: the direct step must beat both
  /// others, else the inverse must beat staying, else nothing moves.
  ///
  /// Lin et al., WSDM 2024, section 4.2.
  package init(direct: Double, none: Double, inverse: Double) {
    if direct < none && direct < inverse {
      self = .direct
    } else if inverse < none {
      self = .inverse
    } else {
      self = .none
    }
  }

  /// The factor of `α` in `θ − factor · α d(g)`.
  var factor: Float {
    switch self {
    case .direct: 1
    case .none: 0
    case .inverse: -1
    }
  }
}

/// Where a step stands in the run.
package struct StepPosition: Equatable, Sendable {
  package var epoch: Int
  /// The step inside the epoch.
  package var step: Int
  /// Steps of the run so far, the optimizer's clock.
  package var number: Int

  package init(epoch: Int, step: Int, number: Int) {
    self.epoch = epoch
    self.step = step
    self.number = number
  }
}

/// A rule that turns rows into a better model: a whole training step, on all ranks.
package protocol UpdateRule: AnyObject {
  /// Takes one step.
  ///
  /// - Parameters:
  ///   - position: The step.
  ///   - isStopRequested: Whether this rank was asked to stop; the record tells about all.
  /// - Returns: What the step did, the same on every rank.
  /// - Throws: What an exchange throws, and `Failure` of kind software for numbers that are not
  ///   finite, of this step or, before it changes anything, of the last one.
  func step(_ position: StepPosition, isStopRequested: Bool) throws -> StepRecord
}
