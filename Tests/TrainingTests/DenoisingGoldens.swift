import Foundation
import Kernels
import Training

/// Numbers of `Tests/Goldens/denoising.py`, which knows nothing of this code.
struct DenoisingFile: Decodable {
  let factors: Int
  let cases: [Case]

  static func load() throws -> DenoisingFile {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let data = try Data(contentsOf: folder.appending(path: "Goldens/denoising.json"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(DenoisingFile.self, from: data)
  }

  struct Case: Decodable, Sendable {
    let name: String
    let method: String
    let optimizer: String
    let beta: Double
    let dropRate: Double
    let dropSteps: Int
    let reweightPower: Double
    let rowDecay: Double
    let trainsOutput: Bool
    let initial: Parameters
    let steps: [Step]

    /// The parameters before step `index`.
    func start(of index: Int) -> Parameters {
      index == 0 ? initial : steps[index - 1].parameters
    }
  }

  struct Step: Decodable, Sendable {
    let labeled: Rows
    let unlabeled: Rows
    let labeledLoss: Double
    let unlabeledLoss: Double
    let terms: Int
    let dropped: Int
    let parameters: Parameters
    let sensitivity: Parameters
  }

  struct Rows: Decodable, Sendable {
    let users: [Int]
    let items: [Int]
    let labels: [Double]?
    let partners: [Int]?
  }
}

/// The rows of a case, step by step.
final class DenoisingRows: RowSource {
  private let steps: [DenoisingFile.Step]
  private let userStarts: [Int]
  private let own: Range<Int>

  /// For the shards `own` of this rank.
  init(_ steps: [DenoisingFile.Step], userStarts: [Int], own: Range<Int>) {
    self.steps = steps
    self.userStarts = userStarts
    self.own = own
  }

  func capacity(_ rows: StepRows) -> Int { 3 * 8 }
  func labeledRows(in step: Int) -> Int { steps[step].labeled.users.count }
  func totalUnlabeled(of batch: StepBatch, in step: Int) -> Int {
    steps[step].unlabeled.users.count
  }

  func load(_ batch: StepBatch, at position: StepPosition, rows: StepRows) {
    let step = steps[position.step]
    let first = userStarts[own.lowerBound]
    var end = 0
    func add(_ rows: DenoisingFile.Rows, _ row: Int) {
      unsafe batch.users.pointer[end] = UInt32(rows.users[row] - first)
      unsafe batch.items.pointer[end] = UInt32(rows.items[row])
      unsafe batch.labels.pointer[end] = Float(rows.labels?[row] ?? 0)
      end += 1
    }
    for (local, shard) in own.enumerated() {
      let users = userStarts[shard]..<userStarts[shard + 1]
      var places: [Int: Int] = [:]
      for row in step.labeled.users.indices where users ~= step.labeled.users[row] {
        if rows == .pairs, step.labeled.labels?[row] != 1 { continue }
        places[row] = places.count
        add(step.labeled, row)
      }
      for row in step.unlabeled.users.indices where users ~= step.unlabeled.users[row] {
        guard let place = places[step.unlabeled.partners?[row] ?? -1] else { continue }
        unsafe batch.partners.pointer[end] = UInt32(place)
        add(step.unlabeled, row)
      }
      batch.close(shard: local, at: end, labeled: places.count)
    }
  }
}
