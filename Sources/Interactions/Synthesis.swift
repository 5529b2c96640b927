import Randomness
package import Storage

/// Writes a simulated short-video feed whose truth is known.
///
/// Users are shown items, each at most once (see ``FeedModel``); a few exposures get an explicit
/// reaction, rating 5 for like and 1 for dislike. Files: `train.tsv` (`user item rating`, or
/// `user item` for an exposure without reaction), `valid.tsv` and `test.tsv` (a fifth of the
/// reactions each, without noise), `truth.tsv` (`user item 0|1` for every exposure without
/// reaction in train) and `synthesize.json` (options and counts).
///
/// The same options give the same bytes.
package enum Synthesis {
  private static let like = 5
  private static let dislike = 1
  /// Of the reactions, what goes to train and to valid; the rest goes to test.
  private static let trainShare = 0.6
  private static let validShare = 0.2

  /// Generates a feed.
  ///
  /// - Parameters:
  ///   - options: Its size and seed.
  ///   - output: The directory to make; it may exist only when empty.
  /// - Returns: The numbers of rows.
  /// - Throws: `Failure`: usage for impossible options or an `output` in use, `inputOutput`.
  /// - Complexity: O(interactions) time, O(users + items) memory.
  package static func run(
    _ options: SynthesisOptions, output: String
  ) throws(Failure) -> SynthesisReport {
    try options.validate()
    let staged = try StagedDirectory(destination: output)
    let model = FeedModel(options)
    var feed = try Feed(options, model, staged)
    var exposure = Exposure(items: options.items)
    let activity = FeedActivity.counts(options, model.random)
    for (user, count) in activity.enumerated() {
      exposure.show(count, to: user, model, seed: options.seed)
      for item in exposure.items { try feed.write(user, item) }
    }
    try feed.close()
    let report = feed.report
    guard report.trainRows > 0, report.validRows > 0, report.testRows > 0 else {
      throw .usage(
        "these options give \(report.trainRows), \(report.validRows) and \(report.testRows) "
          + "reactions in train, valid and test; raise interactions or the label fraction")
    }
    let description = FeedDescription(options: options, report: report)
    try Files.replace(staged.file("synthesize.json"), with: encodedJSON(description))
    try staged.commit()
    return report
  }

  /// The content of `synthesize.json`.
  private struct FeedDescription: Encodable {
    let format = "inverse-feed"
    let version = 1
    let options: SynthesisOptions
    let report: SynthesisReport
  }

  /// The four files on their way.
  private struct Feed {
    private(set) var report = SynthesisReport()
    private let options: SynthesisOptions
    private let model: FeedModel
    private let train: TextWriter
    private let valid: TextWriter
    private let test: TextWriter
    private let truth: TextWriter

    init(
      _ options: SynthesisOptions, _ model: FeedModel, _ staged: StagedDirectory
    ) throws(Failure) {
      self.options = options
      self.model = model
      train = try TextWriter(path: staged.file("train.tsv"))
      valid = try TextWriter(path: staged.file("valid.tsv"))
      test = try TextWriter(path: staged.file("test.tsv"))
      truth = try TextWriter(path: staged.file("truth.tsv"))
    }

    /// Writes what becomes of one exposure.
    mutating func write(_ user: Int, _ item: Int) throws(Failure) {
      let isLiked = model.truth(user: user, item: item)
      if isLiked { report.positivePairs += 1 }
      let words = model.random.words(
        epoch: FeedModel.Stream.reaction.rawValue, row: model.pair(user, item))
      func uniform(_ word: Int) -> Double { Double(words[word]) * 0x1p-32 }
      guard uniform(0) < options.labelFraction else {
        report.exposureRows += 1
        try Self.append(user, item, nil, to: train)
        try Self.append(user, item, isLiked ? 1 : 0, to: truth)
        return
      }
      if uniform(1) < trainShare {
        let isFlipped = uniform(2) < options.noise
        report.trainRows += 1
        try Self.append(user, item, isLiked != isFlipped ? like : dislike, to: train)
      } else if uniform(1) < trainShare + validShare {
        report.validRows += 1
        try Self.append(user, item, isLiked ? like : dislike, to: valid)
      } else {
        report.testRows += 1
        try Self.append(user, item, isLiked ? like : dislike, to: test)
      }
    }

    func close() throws(Failure) {
      for file in [train, valid, test, truth] { try file.close() }
    }

    private static func append(
      _ user: Int, _ item: Int, _ value: Int?, to file: TextWriter
    ) throws(Failure) {
      try file.append(UInt8(ascii: "u"), user, Ascii.tab)
      try file.append(UInt8(ascii: "v"), item, value == nil ? Ascii.newline : Ascii.tab)
      if let value { try file.append(nil, value, Ascii.newline) }
    }
  }

  /// The items shown to one user, in order and without repetition.
  private struct Exposure {
    private(set) var items: [Int] = []
    private var isShown: [Bool]

    init(items: Int) { isShown = [Bool](repeating: false, count: items) }

    /// Replaces the items by `count` for another user.
    mutating func show(_ count: Int, to user: Int, _ model: FeedModel, seed: UInt64) {
      for item in items { isShown[item] = false }
      items.removeAll(keepingCapacity: true)
      for draw in 0..<20 * count + 100 {
        guard items.count < count else { return }
        if let item = model.candidate(user: user, draw: draw) { add(item) }
      }
      // Someone who sees half of everything would wait long for the least popular items.
      let rest = Permutation(
        count: isShown.count, seed: seed, purpose: .synthesis, stream: user + 1)
      for position in 0..<isShown.count {
        guard items.count < count else { return }
        add(rest[position])
      }
    }

    private mutating func add(_ item: Int) {
      guard !isShown[item] else { return }
      isShown[item] = true
      items.append(item)
    }
  }
}
