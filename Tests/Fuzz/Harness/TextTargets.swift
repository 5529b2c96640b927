import Interactions
import Storage

/// A log in every format, read alone and made into a dataset in every way.
struct LogTarget: FuzzTarget {
  private let sandbox: Sandbox

  init(_ sandbox: Sandbox) { self.sandbox = sandbox }

  mutating func run(_ input: Input) throws {
    var input = input
    let choice = input.byte()
    let path = try sandbox.write(input.rest, to: "log")
    let output = sandbox.file("dataset")
    try Files.remove(output)
    try reading {
      if choice & 3 == 0 { try readAlone(path) }
      var options = PreparationOptions(source: source(choice >> 2, path), shards: 2)
      options.format = choice & 1 == 0 ? .log : .adjacency
      options.unrated = choice & 2 == 0 ? .exposure : .positive
      options.keepsSequences = choice & 16 != 0
      options.allowsOverlap = choice & 32 != 0
      options.labelFraction = choice & 64 != 0 ? 0.5 : 1
      options.thinned = choice & 128 != 0 ? .exposure : .drop
      _ = try Preparation.run(options, output: output)
      // What was accepted must be a dataset.
      do {
        try DatasetTarget.walk(try Dataset.open(output))
      } catch {
        fatalError("prepared, but refused: \(error)")
      }
    }
  }

  private func source(_ choice: Int, _ path: String) -> PreparationOptions.Source {
    switch choice & 3 {
    case 0: .split(train: path, valid: nil, test: path)
    case 1, 2: .whole(interactions: path, fractions: [0.6, 0.2, 0.2])
    default: .leaveOneOut(interactions: path)
    }
  }

  private func readAlone(_ path: String) throws {
    let reader = try LogReader(path: path)
    var sum = 0
    while try reader.next() {
      unsafe sum &+= reader.user.reduce(0) { $0 &+ Int($1) }
      unsafe sum &+= reader.item.reduce(0) { $0 &+ Int($1) }
      guard reader.rating?.isFinite ?? true, reader.line > 0 else { fatalError("a bad row") }
    }
  }
}

/// A file of candidate lists, with and without a dataset's ids.
struct ListsTarget: FuzzTarget {
  private let sandbox: Sandbox

  init(_ sandbox: Sandbox) { self.sandbox = sandbox }

  mutating func run(_ input: Input) throws {
    var input = input
    let isResolving = input.byte() % 2 == 1
    let path = try sandbox.write(input.rest, to: "lists")
    try reading {
      let reader = try CandidateListReader(path: path)
      if isResolving {
        while let list = try reader.next(users: { Int($0) }, items: { Int($0) }) {
          guard !list.candidates.isEmpty else { fatalError("no candidates") }
        }
      } else {
        while let list = try reader.next() {
          guard !list.candidates.isEmpty, (list.positive != nil) == reader.namesPositive else {
            fatalError("a bad list")
          }
        }
      }
    }
  }
}
