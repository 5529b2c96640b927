import ArgumentParser
import Evaluation
import Storage
import Training

extension RankingMask: ExpressibleByArgument {}
extension MaskedPositives: ExpressibleByArgument {}

/// The options of `evaluate` about rankings.
struct RankingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Items left out of rankings, and never candidates: those met in training, also those of "
        + "valid, or none. (default: train; for test train,valid)", valueName: "splits"))
  var mask: RankingMask?
  @Option(
    help: ArgumentHelp(
      "Positive rows of the split that the mask of a full ranking hides: not relevant (dropped), or "
        + "relevant and never found (missed). (default: dropped)", valueName: "how"))
  var maskedPositives: MaskedPositives?
  @Option(
    help: ArgumentHelp(
      "Candidates to draw for each relevant item; all there are if there are fewer. "
        + "(default: 100)", valueName: "n"))
  var candidates: Int?
  @Option(help: ArgumentHelp("Seed of the drawn candidates. (default: 1)", valueName: "n"))
  var candidateSeed: UInt64?
  @Option(help: ArgumentHelp("The candidates of --protocol lists.", valueName: "file"))
  var lists: String?

  /// The options as given.
  var facts: [(String, String?)] {
    [
      ("--mask", mask?.rawValue), ("--masked-positives", maskedPositives?.rawValue),
      ("--candidates", candidates.map { "\($0)" }),
      ("--candidate-seed", candidateSeed.map { "\($0)" }), ("--lists", lists),
    ]
  }

  private var sampling: CandidateSampling {
    let standard = CandidateSampling()
    return CandidateSampling(
      count: candidates ?? standard.count, seed: candidateSeed ?? standard.seed)
  }

  /// Refuses options that mean nothing with a protocol.
  func check(_ chosen: EvaluationProtocol, _ split: EvaluationSplit) throws(Failure) {
    guard mask == nil || chosen == .full || chosen == .sampled else {
      throw .usage("--mask is about rankings; add --protocol full or sampled")
    }
    guard maskedPositives == nil || chosen == .full else {
      throw .usage("--masked-positives is about full rankings; add --protocol full")
    }
    guard candidates == nil && candidateSeed == nil || chosen == .sampled else {
      throw .usage("--candidates and --candidate-seed need --protocol sampled")
    }
    guard sampling.count >= 1 else {
      throw .usage("--candidates \(sampling.count): must be at least 1")
    }
    guard chosen == .lists || lists == nil else {
      throw .usage("--lists needs --protocol lists")
    }
    guard chosen != .lists || lists != nil else {
      throw .usage("--protocol lists needs --lists FILE, with the candidates of each case")
    }
    guard chosen != .lists || split == .test else {
      throw .usage("--split \(split.rawValue): the file of --lists says what is judged")
    }
    guard split != .valid || mask != .trainAndValid else {
      throw .usage("--mask train,valid hides the rows that --split valid judges by; use train")
    }
  }

  /// Ranks; a collective. The protocol is one of rankings.
  func report(
    _ evaluation: RunEvaluation, _ chosen: EvaluationProtocol, _ split: EvaluationSplit,
    _ cutoffs: [Int]
  ) throws -> RankingReport {
    let mask = mask ?? (split == .test ? .trainAndValid : .train)
    var report = RankingReport(
      chosen, split: split.rawValue, mask: mask.rawValue, modelSHA256: evaluation.modelSHA256)
    if let lists {
      report.metrics = try evaluation.ranking(ofLists: lists, cutoffs: cutoffs)
      (report.split, report.mask, report.lists) = (nil, nil, lists)
    } else if chosen == .sampled {
      report.metrics = try evaluation.ranking(
        of: split, cutoffs: cutoffs, mask: mask, sampling: sampling)
      (report.candidates, report.candidateSeed) = (sampling.count, sampling.seed)
    } else {
      report.metrics = try evaluation.ranking(
        of: split, cutoffs: cutoffs, mask: mask, maskedPositives: maskedPositives ?? .dropped)
    }
    return report
  }
}
