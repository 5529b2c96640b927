import Fabric
import Foundation
import Storage

/// What the variable `INVERSE_FAULT` asks for: one rank fails, once, where it begins a phase. For
/// tests of what becomes of the others.
///
///     INVERSE_FAULT="rank=1 phase=reduce step=7 action=throw"
///
/// `rank` is 0 when it is not given; without `step`, a step of the run from 1, the first time
/// counts.
struct FaultInjection: Equatable {
  /// How the rank fails.
  enum Action: String, CaseIterable {
    /// It throws an error.
    case `throw`
    /// It is killed, as by a system without memory.
    case kill
    /// It stands still and is then stopped, as a process of a host that hangs. The pause lets
    /// the others' watchdogs hear where it stands.
    case stop
    /// It leaves without a word.
    case exit
  }

  static let variable = "INVERSE_FAULT"
  /// The phases in which a rank can fail.
  static let phases = Activity.allCases.filter { $0 != .start && $0 != .finish }

  var rank = 0
  var phase: Activity
  var step: Int?
  var action: Action

  /// - Returns: `nil` when the variable is not set.
  /// - Throws: `Failure` of kind usage.
  static func parse(
    _ environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(Failure) -> FaultInjection? {
    guard let text = environment[variable] else { return nil }
    var values: [Substring: Substring] = [:]
    for word in text.split(separator: " ") {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, values.updateValue(parts[1], forKey: parts[0]) == nil else {
        throw refusal(text, "'\(word)' is not key=value, or given twice")
      }
    }
    let (rank, step) = (values.removeValue(forKey: "rank"), values.removeValue(forKey: "step"))
    let (name, action) = (values.removeValue(forKey: "phase"), values.removeValue(forKey: "action"))
    if let unknown = values.keys.sorted().first { throw refusal(text, "unknown key '\(unknown)'") }
    guard let phase = phases.first(where: { name.map(String.init) == $0.name }) else {
      throw refusal(text, "phase must be one of \(phases.map(\.name).joined(separator: ", "))")
    }
    guard let action = action.flatMap({ Action(rawValue: String($0)) }) else {
      throw refusal(
        text, "action must be one of \(Action.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    var fault = FaultInjection(phase: phase, action: action)
    fault.rank = try number(rank ?? "0", "rank", from: 0, in: text)
    if let step { fault.step = try number(step, "step", from: 1, in: text) }
    return fault
  }

  private static func number(
    _ value: Substring, _ name: String, from least: Int, in text: String
  ) throws(Failure) -> Int {
    guard let number = Int(value), number >= least else {
      throw refusal(text, "\(name) must be a whole number of at least \(least)")
    }
    return number
  }

  private static func refusal(_ text: String, _ reason: String) -> Failure {
    .usage("\(variable) '\(text)': \(reason)")
  }

  /// Lets a rank fail, if it is the one.
  func install(on group: any ProcessGroup) {
    guard group.rank == rank else { return }
    group.position.callOnEntry { activity, step in
      guard activity == phase, self.step == nil || self.step == step else { return false }
      try perform(step)
      return true
    }
  }

  private func perform(_ step: Int) throws(Failure) {
    switch action {
    case .throw:
      throw .software(
        "\(Self.variable): fault in phase \(phase.name)" + (step > 0 ? ", step \(step)" : ""))
    case .kill: raise(SIGKILL)
    case .stop:
      usleep(1_500_000)
      raise(SIGSTOP)
    case .exit: _exit(0)
    }
  }
}
