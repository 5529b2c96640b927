import Foundation
import TestSupport
import Testing

/// Memory grows with the model, not with what is done to it.
@Suite struct MemoryTests {
  private func peak(_ arguments: [String]) throws -> Int {
    let outcome = try runProcess(
      RankLauncher.executable("RankChecks"), ["peak-memory", inverse] + arguments)
    let output = try outcome.success()
    let line = try #require(output.split(separator: "\n").last { $0.hasPrefix("peak ") })
    return try #require(Int(line.dropFirst("peak ".count)))
  }

  /// 1.3 × (parameters, optimizer state and ids) + 64 MiB: training, its checkpoints and
  /// evaluations. Some 40 MB of model and state; a second copy of all of it would break the bound.
  @Test(arguments: [32, 128])
  func trainingNeedsLittleMoreThanTheModel(factors: Int) throws {
    try withTemporaryDirectory { path in
      let (users, items) = (3_200_000 / factors, 2_000)
      try run([
        "synthesize", "\(path)/feed", "--users", "\(users)", "--items", "\(items)",
        "--interactions", "\(2 * users)", "--label-fraction", "0.5",
      ]).success()
      let files = ["train", "valid", "test"].flatMap { ["--\($0)", "\(path)/feed/\($0).tsv"] }
      try run(["prepare", "\(path)/data"] + files).success()
      let measured = try peak([
        "train", "\(path)/data", "--output", "\(path)/run", "--factors", "\(factors)",
        "--epochs", "2", "--batch", "4096",
      ])
      // Adam has two moments, and each row the step that updated it last.
      let rows = users + items
      let model = 3 * 4 * factors * rows + 4 * rows
      let dictionaries = try ["users", "items"].reduce(0) { sum, name in
        let folder = "\(path)/data/identifiers/\(name)"
        return sum + (try bytes("\(folder).offsets").count) + (try bytes("\(folder).bytes").count)
      }
      let bound = 1.3 * Double(model + dictionaries) + Double(64 << 20)
      #expect(Double(measured) <= bound, "\(measured >> 20) MiB")
    }
  }

  /// As many rows of users and items as MovieLens-1M has, and batches of which most are labeled
  /// rows of a user or an item that the batch has already: buffers must not grow with the batch.
  @Test(arguments: [(32, 65_536), (128, 8_192)], ["bce", "ig"])
  func largeBatchesNeedLittleMore(size: (factors: Int, batch: Int), method: String) throws {
    try withTemporaryDirectory { path in
      let (users, items) = (6_040, 3_706)
      try run([
        "synthesize", "\(path)/feed", "--users", "\(users)", "--items", "\(items)",
        "--interactions", "1000209", "--label-fraction", "1",
      ]).success()
      let files = ["train", "valid", "test"].flatMap { ["--\($0)", "\(path)/feed/\($0).tsv"] }
      try run(["prepare", "\(path)/data"] + files).success()
      let measured = try peak([
        "train", "\(path)/data", "--output", "\(path)/run", "--method", method, "--factors",
        "\(size.factors)", "--batch", "\(size.batch)", "--epochs", "2",
      ])
      let model = (3 * 4 * size.factors + 4) * (users + items)
      #expect(Double(measured) <= 1.3 * Double(model) + Double(64 << 20), "\(measured >> 20) MiB")
    }
  }
}
