import Foundation
import Storage
import TestSupport
import Testing

/// What `--help` of a command says about its options.
struct Help {
  let text: String
  /// Each long option with everything its entry says, on one line.
  let entries: [String: String]

  init(_ command: String) throws {
    let outcome = try run([command, "--help"].filter { !$0.isEmpty })
    text = try outcome.success()
    #expect(outcome.standardError.isEmpty)
    var entries: [String: String] = [:]
    var current: String?
    for line in text.split(separator: "\n") {
      if let option = line.firstMatch(of: #/^  (?:-\w, )?--([a-z-]+)/#) {
        current = String(option.1)
      } else if !line.hasPrefix("    ") {
        current = nil
      }
      if let current {
        entries[current, default: ""] += " " + line.trimmingCharacters(in: .whitespaces)
      }
    }
    self.entries = entries
  }

  /// The options that a configuration file can set.
  var settable: Set<String> { Set(entries.keys).subtracting(["config", "help", "version"]) }
}

@Suite struct HelpTests {
  static let options: [(command: String, options: Set<String>)] = [
    (
      "synthesize",
      ["preset", "users", "items", "interactions", "label-fraction", "noise", "seed"]
    ),
    (
      "prepare",
      [
        "train", "valid", "test", "interactions", "split", "positive-from", "label-fraction",
        "thinned", "shards", "seed", "format", "unrated", "sequences", "allow-overlap",
      ]
    ),
    (
      "train",
      [
        "output", "method", "backbone", "factors", "biases", "batch", "epochs", "patience",
        "select", "select-protocol", "evaluate-every", "report-test", "lists", "layers", "dropout",
        "node-dropout", "neighbours", "walks", "walk-length", "blocks", "heads", "sequence-length",
        "initialize-from", "optimizer", "rate",
        "weight-decay", "row-decay",
        "unlabeled-per-labeled",
        "unlabeled-weight", "unlabeled-source", "inner-rate", "inner-step", "inner-share",
        "drop-rate", "drop-steps", "reweight-power", "output-weights", "initial-deviation",
        "tables", "reduction", "checkpoint-every", "checkpoint-epochs", "keep", "seed", "resume",
        "stall-timeout", "checkpoint-required", "on-nonfinite",
      ]
    ),
    (
      "evaluate",
      [
        "split", "protocol", "top-k", "mask", "masked-positives", "candidates", "candidate-seed",
        "lists", "dataset",
        "truth", "json", "stall-timeout",
      ]
    ),
  ]

  @Test(arguments: options)
  func everyCommandExplainsItsOptions(command: String, options: Set<String>) throws {
    let help = try Help(command)
    #expect(help.settable == options)
    #expect(help.text.contains("Example:\n  inverse \(command) "))
    for name in ["config", "help", "version"] { #expect(help.entries[name] != nil) }
  }

  /// An option that takes a value says what happens without it, or is one that asks for a file.
  @Test(arguments: options)
  func everyOptionSaysItsDefault(command: String, options: Set<String>) throws {
    let help = try Help(command)
    let files: Set = [
      "output", "config", "train", "valid", "test", "interactions", "truth", "dataset",
      "lists",
    ]
    for (name, entry) in help.entries where entry.contains("--\(name) <") {
      if !files.contains(name) { #expect(entry.contains("default: "), "\(entry)") }
    }
  }

  @Test(arguments: [
    ("preset", "synthesize", "values: quick, feed; default: quick"),
    ("thinned", "prepare", "values: drop, exposure; default: drop"),
    ("shards", "prepare", "default: 16"),
    ("format", "prepare", "values: log, adjacency; default: log"),
    ("unrated", "prepare", "default: positive with --format adjacency, else exposure"),
    ("split", "prepare", "default: 0.6,0.2,0.2"),
    ("method", "train", "values: bce, negatives, idl, ig, t-ce, r-ce, bpr; default: ig"),
    ("backbone", "train", "values: gmf, mlp, neumf, lightgcn, ngcf, sasrec, pinsage; default: gmf"),
    ("optimizer", "train", "values: adam, adagrad, rowwise-adagrad, sgd; default: adam"),
    ("batch", "train", "<rows> Labeled rows per step, over all ranks; users w"),
    ("patience", "train", "<n> Evaluations without a better one"),
    ("checkpoint-every", "train", "<steps>"),
    ("stall-timeout", "train", "<seconds> Seconds that ranks may wait"),
    ("stall-timeout", "evaluate", "default: 300"),
    ("reduction", "train", "values: ordered, native; default: ordered"),
    ("tables", "train", "values: replicated, sharded; default: replicated"),
    ("split", "evaluate", "values: valid, test; default: test"),
    ("protocol", "evaluate", "values: labeled, full, sampled, lists; default: labeled"),
    ("candidates", "evaluate", "default: 100"),
    ("select", "train", "recall@k, ndcg@k, hit-rate@k, precision@k, map@k, mrr. (default: auc)"),
    ("select-protocol", "train", "values: full, sampled; default: full"),
    ("evaluate-every", "train", "<epochs>"),
    ("mask", "evaluate", "default: train; for test train,valid"),
  ])
  func unitsValuesAndDefaultsAreNamed(option: String, command: String, text: String) throws {
    let entry = try #require(try Help(command).entries[option])
    let words = entry.split(separator: " ").joined(separator: " ")
    #expect(words.contains(text), "\(words)")
  }

  @Test func theProgramNamesItsCommandsAndExitCodes() throws {
    let help = try Help("")
    for (command, _) in Self.options { #expect(help.text.contains("\n  \(command) ")) }
    #expect(help.text.contains("Example:\n  inverse synthesize "))
    #expect(help.text.contains("mpirun -n 4 inverse train"))
    for code in [0, 64, 65, 69, 70, 74, 75] { #expect(help.text.contains("\n  \(code) ")) }
    #expect(try run([]).success() == help.text)
  }

  /// Paragraphs fill their lines: no line is followed by one whose first word would have fitted.
  @Test(arguments: ["", "synthesize", "prepare", "train", "evaluate"])
  func paragraphsAreFilled(command: String) throws {
    let help = try Help(command).text
    let overview = try #require(help.components(separatedBy: "\nUSAGE:").first)
    let lines = overview.split(separator: "\n", omittingEmptySubsequences: false)
    for (line, next) in zip(lines, lines.dropFirst()) {
      let isProse = !line.isEmpty && !line.hasPrefix(" ") && !line.hasSuffix(":")
      guard isProse, !next.hasPrefix(" "), let word = next.split(separator: " ").first else {
        continue
      }
      #expect(line.count + 1 + word.count >= 80, "\(line)")
    }
  }

  @Test func theVersionIsPrinted() throws {
    #expect(try run(["--version"]).success().wholeMatch(of: #/\d+\.\d+\.\d+\n/#) != nil)
  }

  static let mistakes: [(arguments: [String], message: String)] = [
    (["trian"], "Unexpected argument 'trian'"),
    (["synthesize"], "Missing expected argument '<output>'"),
    (["synthesize", "x", "--usres", "3"], "Unknown option '--usres'. Did you mean '--users'?"),
    (["synthesize", "x", "--preset", "huge"], "'huge' is invalid for '--preset <preset>'"),
    (["synthesize", "x", "--users", "many"], "'many' is invalid for '--users <n>'"),
    (["synthesize", "x", "--noise", "0.5"], "noise must be at least 0 and below 0.5"),
    (["prepare", "x", "--bogus"], "Unknown option '--bogus'"),
    (["prepare", "x"], "give --train, --valid and --test, or --interactions"),
    (["prepare", "x", "--train", "a"], "give --train, --valid and --test, or --interactions"),
    (
      ["prepare", "x", "--interactions", "a", "--test", "b"],
      "give either --interactions, or --train"
    ),
    (["prepare", "x", "--interactions", "a", "--split", "0.6,0.4"], "--split 0.6,0.4: expected"),
    (["prepare", "x", "--interactions", "a", "--split", "0.6,0.3,0.3"], "with sum 1"),
    (
      ["prepare", "x", "--train", "a", "--valid", "b", "--test", "c", "--split", "1,0,0"],
      "--split needs --interactions"
    ),
    (
      ["prepare", "x", "--train", "a", "--valid", "b", "--test", "c", "--shards", "3"],
      "shards must be a power of two from 1 to 4096, but is 3"
    ),
    (["train", "x"], "Missing expected argument '--output <run>'"),
    (["train", "x", "--output", "y", "--ratte", "1"], "Did you mean '--rate'?"),
    (["train", "x", "--output", "y", "--epochs", "1.5"], "'1.5' is invalid for '--epochs <n>'"),
    (["train", "x", "--output", "y", "--rate", "0"], "--rate 0.0: must be a positive number"),
    (["train", "x", "--output", "y", "--rate", "nan"], "--rate nan: must be a positive number"),
    (["train", "x", "--output", "y", "--factors", "0"], "--factors 0: must be in 1 ... 4096"),
    (["train", "x", "--output", "y", "--keep", "0"], "--keep 0: must be at least 1"),
    (["train", "x", "--output", "y", "--inner-share", "1.5"], "--inner-share 1.5: must be in 0"),
    (["train", "x", "--output", "y", "--select", "recall"], "'recall' is invalid for '--select"),
    (["train", "x", "--output", "y", "--evaluate-every", "0"], "--evaluate-every 0: must be"),
    (["train", "x", "--output", "y", "--report-test", "lists"], "--lists FILE and --report-test"),
    (["train", "x", "--output", "y", "--stall-timeout", "-1"], "--stall-timeout"),
    (["train", "x", "--output", "y", "z"], "Unexpected argument 'z'"),
    (["evaluate", "x", "--bogus"], "Unknown option '--bogus'"),
    (["evaluate", "x", "--split", "train"], "'train' is invalid for '--split <split>'"),
    (["evaluate", "x", "--top-k", "5,,6"], "--top-k 5,,6: expected whole numbers"),
    (["evaluate", "x", "--top-k", "0"], "--top-k 0: expected whole numbers"),
  ]

  @Test(arguments: mistakes)
  func mistakesAreWrongUsage(arguments: [String], message: String) throws {
    try run(arguments).expectFailure(.usage, message)
    #expect(!exists("x"))
  }
}
