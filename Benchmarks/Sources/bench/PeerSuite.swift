import Foundation
import Measuring
import Storage

/// Other programs on the same log, each in turn with `inverse`.
enum PeerSuite {
  static func run(_ session: Session) throws {
    var rows: [[String]] = []
    if let python = session.options.python {
      for method in ["bce", "ig"] { rows.append(try torch(session, python, method)) }
      rows.append(try torchNeuMF(session, python))
    } else {
      session.skip(.peers, "PyTorch", "no --python; see Benchmarks/peers/README.md")
    }
    if let program = session.options.libmf {
      rows.append(try libmf(session, program))
    } else {
      session.skip(.peers, "LIBMF", "no --libmf; see Benchmarks/peers/README.md")
    }
    print("labeled rows/s, F 32, one thread; × is the ratio, round by round")
    print(
      TextTable(
        [.left("peer"), .left("work"), .right("peer"), .right("inverse"), .right("×")], rows))
  }

  /// What both scripts print.
  private struct TorchResult: Decodable {
    let rowsPerSecond: Double
    enum CodingKeys: String, CodingKey { case rowsPerSecond = "rows_per_second" }
  }

  private static func torch(
    _ session: Session, _ python: String, _ method: String
  ) throws -> [String] {
    let log = try session.logs.main()
    let script = "\(session.options.source)/Benchmarks/peers/torch_gmf.py"
    let command = [
      python, script, "--train", log.train, "--mode", method, "--batch", "8192", "--factors", "32",
      "--threads", "1", "--epochs", "2", "--json",
    ]
    let run = TrainingRun(dataset: try session.logs.mainDataset(), method: method, epochs: 6)
    return add(
      session, "pytorch", method, work: "\(method), Adam, batch 8192",
      try inTurn(session, command, run))
  }

  /// NeuMF with 3 layers; mostly matrix products on both sides.
  private static func torchNeuMF(_ session: Session, _ python: String) throws -> [String] {
    let log = try session.logs.main()
    let command = [
      python, "\(session.options.source)/Benchmarks/peers/torch_neumf.py", "--train", log.train,
      "--batch", "8192", "--factors", "32", "--layers", "3", "--threads", "1", "--epochs", "1",
      "--json",
    ]
    let run = TrainingRun(
      dataset: try session.logs.mainDataset(), epochs: 2, options: ["--backbone", "neumf"])
    return add(
      session, "pytorch", "bce", backbone: "neumf", work: "NeuMF, bce, Adam, batch 8192",
      try inTurn(session, command, run))
  }

  private static func inTurn(
    _ session: Session, _ torch: [String], _ run: TrainingRun
  ) throws -> [Summary] {
    try Rounds.measure(
      3,
      [
        {
          let output = try ChildProcess.run(torch).output
          return try JSONDecoder().decode(TorchResult.self, from: Data(output.utf8)).rowsPerSecond
        }, { try run.run(session).rowsPerSecond },
      ])
  }

  /// LIBMF's logistic loss; the time of its iterations alone, by running few and many.
  private static func libmf(_ session: Session, _ program: String) throws -> [String] {
    let log = session.freshPath("libmf-log")
    let model = session.freshPath("libmf-model")
    let count = try writeBinaryLog(try session.logs.main().train, to: log)
    func seconds(_ iterations: Int) throws -> Double {
      try ChildProcess.run([
        program, "-f", "5", "-k", "32", "-s", "1", "--quiet", "-t", "\(iterations)", log, model,
      ]).wallSeconds
    }
    let run = TrainingRun(
      dataset: try session.logs.mainDataset(), epochs: 6, options: ["--optimizer", "sgd"])
    let rates = try Rounds.measure(
      session.rounds,
      [
        { 40 * Double(count) / (try seconds(45) - seconds(5)) },
        { try run.run(session).rowsPerSecond },
      ])
    return add(session, "libmf", "bce", work: "bce, SGD", rates)
  }

  private static func add(
    _ session: Session, _ peer: String, _ method: String, backbone: String = "gmf", work: String,
    _ rates: [Summary]
  ) -> [String] {
    var key = ["peer": peer, "method": method]
    if backbone != "gmf" { key["backbone"] = backbone }
    let ratio = rates[1].ratio(to: rates[0])
    session.add(.peers, "peer_rows_per_second", key, unit: "rows/s", rates[0])
    session.add(.peers, "inverse_rows_per_second", key, unit: "rows/s", rates[1])
    session.add(.peers, "ratio", key, unit: "×", ratio)
    return [peer, work] + rates.map { Figure.spread($0) } + [Figure.spread(ratio, Figure.short)]
  }

  /// `user item label` with labels 1 and -1, which is what LIBMF's binary losses read.
  private static func writeBinaryLog(_ source: String, to target: String) throws -> Int {
    let text = String(decoding: try Files.read(source), as: UTF8.self)
    var lines: [UInt8] = []
    var count = 0
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: "\t")
      guard fields.count >= 3, let rating = Double(fields[2]) else { continue }
      lines += "\(fields[0]) \(fields[1]) \(rating >= 3 ? 1 : -1)\n".utf8
      count += 1
    }
    try Files.replace(target, with: lines)
    return count
  }
}
