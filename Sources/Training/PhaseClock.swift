package import Fabric
import Foundation

/// What a run spends its time on.
package enum Phase: Int, CaseIterable, Sendable {
  /// Finding the rows of a step, drawing unlabeled items, grouping by user and by item.
  case sample
  /// Rows between ranks: asking for them, handing them out, waiting until they may be read.
  case exchange
  /// Scores and losses; of the inverse gradient also the three candidates.
  case forward
  /// Gradients of this rank's rows.
  case backward
  /// Sums over ranks: gradients to their owners, dense gradients and losses to all; with waiting.
  case reduce
  /// Steps of the optimizer and virtual steps.
  case update
  /// Metrics of the valid and test rows.
  case evaluate
  /// Writing checkpoints and reading them, as long as the run waits for it.
  case checkpoint

  /// The key in `result.json` and `state.json`.
  package var name: String { "\(self)" }

  /// What a rank says it is busy with.
  var activity: Activity {
    switch self {
    case .sample: .sample
    case .exchange: .exchange
    case .forward: .forward
    case .backward: .backward
    case .reduce: .reduce
    case .update: .update
    case .evaluate: .evaluate
    case .checkpoint: .checkpoint
    }
  }
}

/// Seconds of each phase; in files an object of them by name, where an absent one is 0.
package struct PhaseSeconds: Codable, Equatable, Sendable {
  private var values = [Double](repeating: 0, count: Phase.allCases.count)

  package init() {}

  package subscript(phase: Phase) -> Double {
    get { values[phase.rawValue] }
    set { values[phase.rawValue] = newValue }
  }

  /// All phases together.
  package var total: Double { values.reduce(0, +) }

  static func += (sum: inout PhaseSeconds, more: PhaseSeconds) {
    for phase in Phase.allCases { sum[phase] += more[phase] }
  }

  /// Takes the seconds of rank 0 on every rank.
  ///
  /// - Throws: What the group throws.
  /// - Complexity: one collective of some numbers.
  mutating func takeThoseOfRankZero(_ group: any ProcessGroup) throws {
    unsafe try values.withUnsafeMutableBytes { unsafe try group.broadcast($0, from: 0) }
  }

  package init(from decoder: any Decoder) throws {
    let seconds = try [String: Double](from: decoder)
    for phase in Phase.allCases { self[phase] = seconds[phase.name] ?? 0 }
  }

  package func encode(to encoder: any Encoder) throws {
    try [String: Double](uniqueKeysWithValues: Phase.allCases.map { ($0.name, self[$0]) })
      .encode(to: encoder)
  }
}

extension KeyedDecodingContainer {
  /// What the synthesised decoding calls: files of before there were phases have no such key.
  func decode(_ type: PhaseSeconds.Type, forKey key: Key) throws -> PhaseSeconds {
    try decodeIfPresent(type, forKey: key) ?? PhaseSeconds()
  }
}

/// Tells how the time of this rank divides into phases: a stop-watch with laps.
///
/// Each rank has its own. A rank that waits for another one counts that where it waits.
///
/// - Complexity: a lap reads a clock, which is no system call, and allocates nothing.
package final class PhaseClock {
  private var nanoseconds = [Int64](repeating: 0, count: Phase.allCases.count)
  private var last = PhaseClock.now
  private let position: RankPosition?

  /// - Parameter position: Where it is told which phase begins; `nil` for parts of a phase.
  package init(position: RankPosition? = nil) { self.position = position }

  /// Tells which phase begins; its time still counts when its lap ends.
  ///
  /// - Throws: What a test has asked for.
  func begin(_ phase: Phase) throws { try position?.enter(phase.activity) }

  /// Starts a lap; the time since the last one belongs to no phase.
  package func start() { last = Self.now }

  /// Ends a lap, which belongs to `phase`, and starts the next.
  package func lap(_ phase: Phase) {
    let now = Self.now
    nanoseconds[phase.rawValue] &+= now &- last
    last = now
  }

  /// The seconds since the last call; counting goes on from zero.
  package func take() -> PhaseSeconds {
    var seconds = PhaseSeconds()
    for phase in Phase.allCases {
      seconds[phase] = Double(nanoseconds[phase.rawValue]) / 1e9
      nanoseconds[phase.rawValue] = 0
    }
    return seconds
  }

  private static var now: Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }
}
