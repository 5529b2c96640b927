import ArgumentParser
import Evaluation
import Fabric
import Foundation
import Interactions
import Logging
import Storage
import Training

extension EvaluationSplit: ExpressibleByArgument {}

/// What a model is evaluated by.
enum EvaluationProtocol: String, CaseIterable, ExpressibleByArgument {
  /// The labeled rows of a split.
  case labeled
  /// Rankings of all items.
  case full
  /// Every relevant item among drawn candidates.
  case sampled
  /// Cases among listed candidates.
  case lists
}

struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Evaluates the best model of a run.",
    discussion: """
      Exact figures, the same for every number of ranks.

      With the protocol labeled, over the labeled rows of a split: AUC with ties counted half; \
      GAUC, the mean over users with both labels; log loss; NDCG@k and MRR over each user's \
      labeled rows.

      With the protocol full, over rankings of all items for each user with positive rows in the \
      split, which are the relevant items: recall@k, NDCG@k, hit rate@k, precision@k, MAP@k and \
      MRR. Masked items are left out of the rankings. Of equal scores the item known first to the \
      dataset comes first.

      With the protocols sampled and lists, the same figures over cases: one relevant item each, \
      ranked among candidates, of which those with a strictly higher score come first. Sampled \
      draws candidates for every positive row of the split from the items that are neither \
      masked nor relevant; lists takes them from a file of lines (user,item), candidate, \
      candidate and so on, separated by tabs.

      Example:
        inverse evaluate run --split test --top-k 10,20
        inverse evaluate run --protocol full --top-k 20,50 --mask train,valid
        inverse evaluate run --protocol sampled --candidates 100
        inverse evaluate run --protocol lists --lists test.negative
      """)

  @Argument(help: ArgumentHelp("A run directory made by train.", valueName: "run"))
  var runDirectory: String
  @Option(help: "The labeled rows to evaluate on.")
  var split = EvaluationSplit.test
  @Option(
    help: ArgumentHelp(
      "Judge by the labeled rows of the split, by rankings of all items, or of one relevant item "
        + "among sampled or listed candidates.",
      valueName: "protocol"))
  var `protocol` = EvaluationProtocol.labeled
  @Option(
    help: ArgumentHelp(
      "Cut-offs of NDCG and of the other figures with an @k, separated by commas.",
      valueName: "k,k"))
  var topK = "10"
  @OptionGroup var ranking: RankingOptions
  @Option(
    help: ArgumentHelp(
      "The dataset, if it is no longer where the run was started.", valueName: "dataset"))
  var dataset: String?
  @Option(
    help: ArgumentHelp(
      "Rows of user, item, label for unlabeled pairs: how many does the model label right?",
      valueName: "file"))
  var truth: String?
  @Flag(help: "Print one JSON object instead of tables.")
  var json = false
  @OptionGroup var stall: StallOption
  @OptionGroup var configuration: ConfigurationOption

  func run() throws {
    let cutoffs = try parseCutoffs()
    try checkProtocol(cutoffs)
    try withRanks(watch: stall.watch) { group in
      let agreement = StartAgreement(group: group)
      try agreement.requireSameProgram()
      try agreement.requireSameOptions(startFacts)
      try group.position.enter(.read)
      let run = RunDirectory(runDirectory)
      let setup = try run.setup()
      try agreement.requireSameOptions(
        try StartAgreement.facts(of: setup.training, prefix: "in the run "))
      let opened = try Dataset.open(dataset ?? setup.dataset)
      try agreement.requireSameDataset(opened.fingerprint, at: opened.directory)
      let log = Logger(label: "inverse") { _ in RankLogHandler(rank: group.rank) }
      let evaluation = try RunEvaluation(
        run, dataset: dataset, group: group, warn: { log.warning("\($0)") })
      try group.position.enter(.evaluate)
      if `protocol` == .labeled {
        try reportLabeled(evaluation, cutoffs, isFirst: group.rank == 0)
      } else {
        let report = try ranking.report(evaluation, `protocol`, split, cutoffs)
        if group.rank == 0 { print(json ? try report.json() : report.table(cutoffs).description) }
      }
    }
  }

  /// What all ranks must have been started with; each may find the dataset elsewhere.
  private var startFacts: [StartAgreement.Fact] {
    let options: [(String, String?)] = [
      ("the command", "evaluate"), ("the run", runDirectory), ("--split", split.rawValue),
      ("--protocol", `protocol`.rawValue), ("--top-k", topK), ("--truth", truth),
      ("--json", "\(json)"), ("--stall-timeout", "\(stall.stallTimeout)"),
    ]
    return (options + ranking.facts).map { StartAgreement.Fact(name: $0, value: $1 ?? "") }
  }

  private func reportLabeled(
    _ evaluation: RunEvaluation, _ cutoffs: [Int], isFirst: Bool
  ) throws {
    // NDCG@10 is always part of the report.
    let metrics = try evaluation.metrics(of: split, cutoffs: cutoffs + [10])
    let annotation = try truth.map { try evaluation.annotation(against: $0) }
    guard isFirst else { return }
    if json {
      try printJSON(metrics, annotation, cutoffs, evaluation.modelSHA256)
    } else {
      printTables(metrics, annotation, cutoffs)
    }
  }

  /// Refuses options that mean nothing together.
  private func checkProtocol(_ cutoffs: [Int]) throws(Failure) {
    try ranking.check(`protocol`, split)
    guard `protocol` != .labeled else { return }
    guard truth == nil else {
      throw .usage(
        "--truth judges labels, not rankings; leave out --protocol \(`protocol`.rawValue)")
    }
    let most = TrainingConfiguration.mostPlaces
    guard let last = cutoffs.last, last <= most else {
      throw .usage(
        "--top-k \(topK): must be at most \(most) with --protocol \(`protocol`.rawValue)")
    }
  }

  private func parseCutoffs() throws(Failure) -> [Int] {
    let parts = topK.split(separator: ",", omittingEmptySubsequences: false)
    let cutoffs = parts.compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    guard cutoffs.count == parts.count, cutoffs.allSatisfy({ $0 >= 1 }) else {
      throw .usage("--top-k \(topK): expected whole numbers of at least 1, such as 10,20")
    }
    return Array(Set(cutoffs)).sorted()
  }

  private func printTables(
    _ metrics: LabeledMetrics, _ annotation: AnnotationMetrics?, _ cutoffs: [Int]
  ) {
    let figure = MetricsTable.figure
    print(
      TextTable(
        columns: [.left("split"), .right("AUC"), .right("GAUC"), .right("log loss")]
          + cutoffs.map { .right("NDCG@\($0)") } + [
            .right("MRR"), .right("users"), .right("rows"),
          ],
        rows: [
          [split.rawValue, figure(metrics.auc), figure(metrics.gauc), figure(metrics.logLoss)]
            + cutoffs.map { figure(metrics.ndcg[$0]) }
            + [figure(metrics.mrr), "\(metrics.users)", "\(metrics.rows)"]
        ]))
    guard let annotation else { return }
    print(
      TextTable(
        columns: [
          .right("unlabeled pairs"), .right("labeled right"), .right("majority"), .right("AUC"),
        ],
        rows: [
          [
            "\(annotation.rows)", figure(annotation.accuracy), figure(annotation.majorityShare),
            figure(annotation.auc),
          ]
        ]))
  }

  private func printJSON(
    _ metrics: LabeledMetrics, _ annotation: AnnotationMetrics?, _ cutoffs: [Int],
    _ modelSHA256: String
  ) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let data = try encoder.encode(
      EvaluationOutput(
        split: split.rawValue, metrics: ReportedMetrics(metrics),
        ndcg: Dictionary(
          uniqueKeysWithValues: cutoffs.compactMap { cutoff in
            metrics.ndcg[cutoff].map { ("ndcg@\(cutoff)", $0) }
          }),
        annotation: annotation, modelSHA256: modelSHA256))
    print(String(decoding: data, as: UTF8.self))
  }
}

/// What `--json` prints.
private struct EvaluationOutput: Encodable {
  let split: String
  let metrics: ReportedMetrics
  let ndcg: [String: Double]
  let annotation: AnnotationMetrics?
  let modelSHA256: String

  private enum CodingKeys: String, CodingKey {
    case split, metrics, ndcg, annotation
    case modelSHA256 = "model_sha256"
  }
}
