import Foundation
import Kernels
import Testing

/// A layer of `Tests/Goldens/layers.py`, which knows nothing of this code.
struct LayerGolden: Decodable {
  let sizes: [String: Int]
  let index: [String: [Int]]
  let inputs: [String: [Double]]
  let delta: [Double]
  let output: [Double]
  let gradients: [String: [Double]]

  static func load(_ name: String) throws -> LayerGolden {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let data = try Data(contentsOf: folder.appending(path: "Goldens/layers.json"))
    let cases = try JSONDecoder().decode([String: LayerGolden].self, from: data)
    return try #require(cases[name], "layers.json has no \(name)")
  }

  func size(_ name: String) -> Int { sizes[name] ?? 0 }

  func indices(_ name: String) -> [UInt32] { (index[name] ?? []).map { UInt32($0) } }

  /// An input, padded.
  func input(_ name: String, columns: Int) -> Rows {
    Rows((inputs[name] ?? []).map { Float($0) }, columns: columns)
  }

  /// The derivative of the objective by the output, padded.
  func delta(columns: Int) -> Rows { Rows(delta.map { Float($0) }, columns: columns) }

  /// Whether `rows` are the expected numbers, each within `roundings` roundings of `size`.
  func admits(
    _ rows: Rows, _ expected: [Double]?, size: Double, roundings: Int
  ) -> Bool {
    guard let expected, expected.count == rows.values.count, !expected.isEmpty else { return false }
    return zip(rows.values, expected).allSatisfy {
      abs(Double($0) - $1) <= 1.01 * Double(roundings) * roundoff * size
    }
  }
}
