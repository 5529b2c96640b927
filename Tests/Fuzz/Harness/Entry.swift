import Foundation
import Storage

/// Readers that are fed with files from nobody knows where; `INVERSE_FUZZ_TARGET` chooses one.
///
/// libFuzzer calls ``fuzzOneInput(_:_:)`` with one input after the other. A finding is whatever
/// ends the process, here or in a sanitizer: a trap, a read out of bounds, memory or time beyond
/// the limits of `run.sh`, an error that is no ``Failure``, and one that is not a short line.
protocol FuzzTarget {
  /// Prepares what all inputs share.
  init(_ sandbox: Sandbox) throws
  /// Reads one input the way the program would.
  ///
  /// - Throws: `Failure` when it is refused, which is what most inputs deserve.
  mutating func run(_ input: Input) throws
  /// Inputs to start from that depend on the files which this target makes.
  var seeds: [[UInt8]] { get }
}

extension FuzzTarget {
  var seeds: [[UInt8]] { [] }
}

/// The targets by name.
nonisolated(unsafe) private let targets: [String: any FuzzTarget.Type] = [
  "log": LogTarget.self, "lists": ListsTarget.self, "yaml": ConfigurationTarget.self,
  "dataset": DatasetTarget.self, "checkpoint": CheckpointTarget.self,
  "safetensors": TensorTarget.self,
]

/// The longest message that still is one line for a person.
private let longestMessage = 2048

nonisolated(unsafe) private var target: (any FuzzTarget)?

/// Makes the target; with `INVERSE_FUZZ_SEEDS`, writes its seeds into that directory and ends.
@_cdecl("LLVMFuzzerInitialize")
public func initializeFuzzer(
  _ count: UnsafeMutableRawPointer, _ arguments: UnsafeMutableRawPointer
) -> CInt {
  let environment = ProcessInfo.processInfo.environment
  guard let type = environment["INVERSE_FUZZ_TARGET"].flatMap({ unsafe targets[$0] }) else {
    unsafe fatalError("INVERSE_FUZZ_TARGET must be one of \(targets.keys.sorted())")
  }
  do {
    let made = try type.init(try Sandbox())
    if let directory = environment["INVERSE_FUZZ_SEEDS"] {
      for (index, seed) in made.seeds.enumerated() {
        try Files.replace("\(directory)/made-\(index)", with: seed)
      }
      exit(0)
    }
    unsafe target = made
  } catch {
    fatalError("cannot start: \(error)")
  }
  return 0
}

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: count))
  do {
    unsafe try target?.run(Input(input))
  } catch let failure as Failure {
    let message = failure.message
    guard !message.contains(where: \.isNewline), message.utf8.count <= longestMessage else {
      fatalError("not a short line: \(message)")
    }
  } catch {
    fatalError("not a failure that the user can act on: \(error)")
  }
  return 0
}

/// Runs a reader in which nothing can go wrong but its file.
func reading(_ body: () throws -> Void) throws {
  do {
    try body()
  } catch let failure as Failure where failure.kind == .software {
    fatalError("a file was taken for an error of the program: \(failure.message)")
  }
}
