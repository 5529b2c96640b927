import Evaluation
import Fabric
import Foundation
import Interactions
import Storage
import Training

@testable import Checkpoints

/// A run of which one file is changed, evaluated, resumed, and started from.
///
/// Checksums of a changed checkpoint are made to fit again, so what is behind them is reached.
struct CheckpointTarget: FuzzTarget {
  private let dataset: Dataset
  /// Of a finished run of GMF.
  private let base: Snapshot
  /// Of a finished run of MLP, to be joined with it.
  private let tower: String
  private let run: String
  private let joined: String

  init(_ sandbox: Sandbox) throws {
    let data = sandbox.file("made")
    _ = try DatasetTarget.make(sandbox, output: data)
    dataset = try Dataset.open(data)
    let made = sandbox.file("gmf")
    _ = try BriefRun.train(0, on: dataset, into: RunDirectory(made), Self.plain)
    tower = sandbox.file("mlp")
    _ = try BriefRun.train(0, on: dataset, into: RunDirectory(tower)) {
      Self.plain(&$0)
      $0.backbone = .mlp
      $0.layers = 1
      $0.initialDeviation = nil
    }
    try Files.remove("\(made)/events")
    base = try Snapshot(made)
    run = sandbox.file("run")
    joined = sandbox.file("neumf")
  }

  private static func plain(_ configuration: inout TrainingConfiguration) {
    configuration.biases = false
    configuration.method = .bce
  }

  var seeds: [[UInt8]] {
    base.names.indices.flatMap { index -> [[UInt8]] in
      let (content, place) = (base.files[base.names[index]] ?? [], UInt8(index))
      return [
        [0, place] + content, [1, place] + content, [3, place, 9, 0, 1, 2, 3, 4],
      ]
    }
  }

  mutating func run(_ input: Input) throws {
    var input = input
    let choice = input.byte()
    let name = base.names[input.byte() % base.names.count]
    var content = base.files[name] ?? []
    if choice & 2 == 0 { content = input.rest } else { input.patch(&content) }
    try base.restore(to: run)
    try Sandbox.write(content, to: "\(run)/\(name)")
    if choice & 1 == 1 { try seal(name, content) }
    switch choice >> 2 & 3 {
    case 0: try resume()
    case 1: try join()
    default: try evaluate()
    }
  }

  /// Writes the manifest that belongs to the files of the checkpoint `name` is in.
  private func seal(_ name: String, _ content: [UInt8]) throws {
    let folder = Files.parent(of: name)
    guard folder.hasPrefix("checkpoints/"), Files.name(of: name) != Manifest.fileName else {
      return
    }
    let present = Set([Manifest.modelName, Manifest.optimizerName, Manifest.stateName])
    var records: [String: FileRecord] = [:]
    for file in try Files.names(in: "\(run)/\(folder)") where present.contains(file) {
      records[file] = try FileRecord.compute(
        FileReader(path: "\(run)/\(folder)/\(file)"), group: SoloGroup()
      ).get()
    }
    let old = try Manifest(parsing: base.files["\(folder)/\(Manifest.fileName)"] ?? [])
    let manifest = Manifest(step: old.step, modelSHA256: old.modelSHA256, files: records)
    try Sandbox.write(manifest.encoded(), to: "\(run)/\(folder)/\(Manifest.fileName)")
  }

  private func evaluate() throws {
    let evaluation = try RunEvaluation(
      RunDirectory(run), dataset: dataset.directory, group: SoloGroup(), warn: check)
    _ = try evaluation.metrics(of: .test, cutoffs: [1, 10])
    _ = try evaluation.ranking(of: .test, cutoffs: [1, 3], mask: .train)
    _ = try evaluation.ranking(
      of: .valid, cutoffs: [2], mask: .train, sampling: .init(count: 3, seed: 1))
  }

  private func resume() throws {
    let run = RunDirectory(run)
    _ = try BriefRun.train(0, on: dataset, into: run, resuming: true) {
      Self.plain(&$0)
      $0.epochs = 2
    }
  }

  private func join() throws {
    try Files.remove(joined)
    _ = try BriefRun.train(0, on: dataset, into: RunDirectory(joined)) {
      Self.plain(&$0)
      $0.backbone = .neumf
      $0.layers = 1
      $0.initialDeviation = nil
      $0.initializeFrom = [run, tower]
    }
  }

  /// Warnings are lines as well.
  private func check(_ line: String) {
    guard !line.contains(where: \.isNewline), line.utf8.count <= 4096 else {
      fatalError("not a short line: \(line)")
    }
  }
}
