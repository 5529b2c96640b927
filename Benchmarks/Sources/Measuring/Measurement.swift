/// One figure of a report: what was measured, under which parameters, in which unit.
package struct Measurement: Codable, Equatable, Sendable {
  /// The suite, such as `training`.
  package let suite: String
  /// What the number is, such as `rows_per_second`.
  package let name: String
  /// What it was measured with, such as `method: ig`.
  package let parameters: [String: String]
  /// Such as `rows/s`.
  package let unit: String
  package let value: Summary

  package init(
    _ suite: String, _ name: String, _ parameters: [String: String] = [:], unit: String,
    _ value: Summary
  ) {
    self.suite = suite
    self.name = name
    self.parameters = parameters
    self.unit = unit
    self.value = value
  }

  /// Whether every given parameter has the given value; others are free.
  package func matches(_ suite: String, _ name: String, _ parameters: [String: String]) -> Bool {
    self.suite == suite && self.name == name
      && parameters.allSatisfy { self.parameters[$0.key] == $0.value }
  }
}

/// Something that was not measured, and why.
package struct Skipped: Codable, Equatable, Sendable {
  package let suite: String
  package let what: String
  package let reason: String

  package init(_ suite: String, _ what: String, reason: String) {
    self.suite = suite
    self.what = what
    self.reason = reason
  }
}
