import Foundation
import Interactions
import Storage
import Testing

@Suite struct SynthesisTests {
  static let small = SynthesisOptions(
    users: 300, items: 200, interactions: 12_000, labelFraction: 0.2, noise: 0.1, seed: 3)

  func lines(_ path: String) throws -> [[Substring]] {
    String(decoding: try Files.read(path), as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: "\t")
    }
  }

  /// The index of an id such as `u17`.
  func index(_ text: Substring) throws -> Int { try #require(Int(text.dropFirst())) }

  /// Files agree with the model: every pair once, exact number of exposures, valid and test and
  /// the truth file without noise, train with it.
  @Test func filesTellTheTruth() throws {
    let directory = try TemporaryDirectory()
    let options = Self.small
    let output = directory.path + "/feed"
    let report = try Synthesis.run(options, output: output)
    let model = FeedModel(options)
    var pairs = Set<[Int]>()
    var flipped = 0
    for name in ["train", "valid", "test"] {
      for line in try lines("\(output)/\(name).tsv") {
        let (user, item) = (try index(line[0]), try index(line[1]))
        #expect(user < options.users && item < options.items)
        #expect(pairs.insert([user, item]).inserted)
        guard line.count == 3 else { continue }
        let agrees = (line[2] == "5") == model.truth(user: user, item: item)
        if name == "train" { flipped += agrees ? 0 : 1 } else { #expect(agrees) }
      }
    }
    #expect(pairs.count == options.interactions)
    #expect(Set(pairs.map { $0[0] }).count == options.users)
    // Flips are binomial; six standard deviations.
    let rows = Double(report.trainRows)
    #expect(abs(Double(flipped) - 0.1 * rows) < 6 * (rows * 0.09).squareRoot())
    let truth = try lines("\(output)/truth.tsv")
    #expect(truth.count == report.exposureRows)
    for line in truth {
      let isLiked = model.truth(user: try index(line[0]), item: try index(line[1]))
      #expect(line[2] == (isLiked ? "1" : "0"))
    }
    #expect(try lines("\(output)/valid.tsv").count == report.validRows)
    #expect(try lines("\(output)/test.tsv").count == report.testRows)
    let labels = report.trainRows + report.validRows + report.testRows
    // Reactions are binomial with 12,000 trials of probability 0.2: deviation 44; six of them.
    #expect(abs(labels - 2_400) < 264)
    #expect(report.exposureRows + labels == options.interactions)
  }

  @Test func theSameOptionsGiveTheSameBytes() throws {
    let directory = try TemporaryDirectory()
    for name in ["a", "b"] {
      _ = try Synthesis.run(Self.small, output: "\(directory.path)/\(name)")
    }
    var other = Self.small
    other.seed = 4
    _ = try Synthesis.run(other, output: directory.path + "/c")
    for name in ["train.tsv", "valid.tsv", "test.tsv", "truth.tsv", "synthesize.json"] {
      let bytes = try Files.read("\(directory.path)/a/\(name)")
      #expect(try Files.read("\(directory.path)/b/\(name)") == bytes)
      #expect(try Files.read("\(directory.path)/c/\(name)") != bytes)
    }
  }

  /// Popular items and active users take many times the share of the others.
  @Test func activityAndPopularityAreHeavyTailed() throws {
    let directory = try TemporaryDirectory()
    _ = try Synthesis.run(Self.small, output: directory.path + "/feed")
    var users: [Substring: Int] = [:]
    var items: [Substring: Int] = [:]
    for line in try lines(directory.path + "/feed/train.tsv") {
      users[line[0], default: 0] += 1
      items[line[1], default: 0] += 1
    }
    for counts in [users, items] {
      let sorted = counts.values.sorted()
      // A uniform spread of 40 (60) rows per id would stay within a factor of two here.
      #expect(sorted[sorted.count * 95 / 100] > 4 * sorted[sorted.count * 5 / 100])
    }
  }

  /// Who knows the truth's logit ranks the test rows with an AUC in the band that makes a feed
  /// worth learning; two thirds of the pairs are positive.
  @Test func thePresetIsLearnable() throws {
    let directory = try TemporaryDirectory()
    let output = directory.path + "/feed"
    let report = try Synthesis.run(.quick, output: output)
    let model = FeedModel(.quick)
    let scored = try lines(output + "/test.tsv").map { line in
      (score: model.logit(user: try index(line[0]), item: try index(line[1])), like: line[2] == "5")
    }.sorted { $0.score < $1.score }
    var (dislikes, ordered, likes) = (0, 0, 0)
    for row in scored {
      if row.like {
        likes += 1
        ordered += dislikes
      } else {
        dislikes += 1
      }
    }
    let area = Double(ordered) / Double(likes * dislikes)
    #expect((0.85...0.90).contains(area))
    let share = Double(report.positivePairs) / Double(SynthesisOptions.quick.interactions)
    #expect((0.60...0.70).contains(share))
    let options = PreparationOptions(
      source: .split(
        train: output + "/train.tsv", valid: output + "/valid.tsv", test: output + "/test.tsv"))
    let prepared = try Preparation.run(options, output: directory.path + "/dataset")
    #expect(prepared.train.rows == report.trainRows)
    #expect(prepared.exposures == report.exposureRows)
    #expect(prepared.repeatedPairs == 0)
  }

  static let impossible: [SynthesisOptions] = [
    SynthesisOptions(users: 0, items: 10, interactions: 10, labelFraction: 0.5, noise: 0),
    SynthesisOptions(users: 10, items: 1, interactions: 10, labelFraction: 0.5, noise: 0),
    SynthesisOptions(users: 10, items: 10, interactions: 51, labelFraction: 0.5, noise: 0),
    SynthesisOptions(users: 10, items: 10, interactions: 9, labelFraction: 0.5, noise: 0),
    SynthesisOptions(users: 10, items: 10, interactions: 20, labelFraction: 0, noise: 0),
    SynthesisOptions(users: 10, items: 10, interactions: 20, labelFraction: 0.5, noise: 0.5),
    SynthesisOptions(users: 10, items: 10, interactions: 10, labelFraction: 0.001, noise: 0),
  ]

  @Test(arguments: impossible)
  func impossibleOptionsLeaveNothingBehind(options: SynthesisOptions) throws {
    let directory = try TemporaryDirectory()
    let failure = try #require(
      failure { _ = try Synthesis.run(options, output: directory.path + "/feed") })
    #expect(failure.kind == .usage)
    #expect(try directory.names().isEmpty)
  }

  /// Everyone may see half of everything, and no more is asked of the generator.
  @Test func theFullestFeedIsPossible() throws {
    let directory = try TemporaryDirectory()
    let options = SynthesisOptions(
      users: 20, items: 30, interactions: 300, labelFraction: 1, noise: 0)
    let report = try Synthesis.run(options, output: directory.path + "/feed")
    #expect(report.trainRows + report.validRows + report.testRows == 300)
    #expect(report.exposureRows == 0)
  }
}
