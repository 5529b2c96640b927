import Kernels
import Measuring
import Randomness
import Storage

extension KernelCase {
  /// One propagation of LightGCN in either direction; a row is an edge of the graph.
  ///
  /// Bytes and operations have no roof here: rows come from the last-level cache, which is neither
  /// of the machine suite's two.
  static func propagations(_ graph: GraphProblem, factors: Int) -> [KernelCase] {
    let rows = GraphProblem.Rows(graph, factors: factors)
    let work = KernelWork(rows: Double(graph.edges.entryCount), bytes: 0, operations: 0)
    return [
      KernelCase(name: "propagate to users", work: work, hasRoof: false) {
        SparseProduct.multiply(
          graph.edges, by: rows.items, columns: factors, scales: rows.userScales,
          into: rows.userSums)
      },
      KernelCase(name: "propagate to items", work: work, hasRoof: false) {
        SparseProduct.multiplyTransposed(
          graph.transposed, by: rows.users, columns: factors, scales: rows.itemScales,
          scratch: rows.scratch, into: rows.itemSums)
      },
    ]
  }
}

/// A graph of users and items: Gowalla's training pairs (Wang et al., SIGIR 2019), or one of its
/// size.
@safe
final class GraphProblem {
  static let (userCount, itemCount, edgeCount) = (29_858, 40_981, 810_128)
  /// Shards of users, as many as a dataset has by default.
  static let shards = 16

  let edges: SparseRows
  let transposed: SparseColumns

  /// - Parameter data: A directory with `gowalla/train.txt`, a user and its items per line; without
  ///   it a graph is drawn.
  /// - Throws: `Failure` when the file is there and cannot be read.
  init(data: String?) throws {
    let path = data.map { "\($0)/gowalla/train.txt" }
    let (starts, columns) =
      if let path, Files.exists(path) { try Self.read(path) } else { Self.draw() }
    let users = starts.count - 1
    edges = unsafe starts.withUnsafeBufferPointer { starts in
      unsafe columns.withUnsafeBufferPointer { columns in
        guard let first = starts.baseAddress, let entries = columns.baseAddress else {
          preconditionFailure("a graph has edges")
        }
        return unsafe SparseRows(
          rowCount: users, columnCount: Int(columns.max() ?? 0) + 1, starts: first,
          columns: entries)
      }
    }
    let shardStarts = AlignedBuffer<UInt32>(count: Self.shards + 1)
    let (numbers, blocks) = (
      AlignedBuffer<UInt32>(count: Self.shards), AlignedBuffer<UInt32>(count: Self.shards)
    )
    let unread = AlignedBuffer<UInt16>(count: 1)
    for shard in 0...Self.shards {
      unsafe shardStarts.pointer[shard] = UInt32(users * shard / Self.shards)
    }
    for shard in 0..<Self.shards { unsafe numbers.pointer[shard] = UInt32(shard) }
    transposed = unsafe SparseColumns(
      edges,
      runs: ShardRuns(
        starts: shardStarts.pointer, shards: numbers.pointer, blocks: blocks.pointer,
        shardOfRow: unread.pointer, count: Self.shards))
    withExtendedLifetime((shardStarts, numbers, blocks, unread)) {}
  }

  private static func read(_ path: String) throws -> (starts: [Int], columns: [UInt32]) {
    var (starts, columns): ([Int], [UInt32]) = ([0], [])
    for line in try Files.read(path).split(separator: UInt8(ascii: "\n")) {
      for word in line.split(separator: UInt8(ascii: " ")).dropFirst() {
        columns.append(word.reduce(0) { $0 * 10 + UInt32($1 & 15) })
      }
      starts.append(columns.count)
    }
    return (starts, columns)
  }

  /// Popularities fall towards the end of both tables.
  private static func draw() -> (starts: [Int], columns: [UInt32]) {
    let random = Philox(seed: 1, purpose: .verification)
    var items = [[UInt32]](repeating: [], count: userCount)
    for edge in 0..<edgeCount {
      let user = random.uniform(epoch: 0, row: edge)
      let item = random.uniform(epoch: 0, row: edge, draw: 1)
      items[Int(user * user * Double(userCount))].append(UInt32(item * item * Double(itemCount)))
    }
    var starts = [0]
    for row in items { starts.append(starts[starts.count - 1] + row.count) }
    return (starts, items.flatMap { $0.sorted() })
  }

  /// Rows of both sides, their scales, and room for their sums.
  @safe
  final class Rows {
    let scratch: TreeScratch
    let itemSums: PartialRows
    private let factors: Int
    private let buffers: (users: AlignedBuffer<Float>, items: AlignedBuffer<Float>)
    private let sums: AlignedBuffer<Float>
    private let scales: AlignedBuffer<Float>

    init(_ graph: GraphProblem, factors: Int) {
      let (users, items) = (graph.edges.rowCount, graph.edges.columnCount)
      self.factors = factors
      buffers = (AlignedBuffer(count: users * factors), AlignedBuffer(count: items * factors))
      sums = AlignedBuffer(count: users * factors)
      scales = AlignedBuffer(count: max(users, items))
      scratch = TreeScratch(stride: factors, shardCount: GraphProblem.shards)
      itemSums = graph.transposed.makePartials(stride: factors)
      for buffer in [buffers.users, buffers.items, scales] {
        for index in 0..<buffer.count { unsafe buffer.pointer[index] = Float(index & 15) * 0.01 }
      }
    }

    var users: Matrix { unsafe Matrix(buffers.users.pointer, stride: factors) }
    var items: Matrix { unsafe Matrix(buffers.items.pointer, stride: factors) }
    var userSums: MutableMatrix { unsafe MutableMatrix(sums.pointer, stride: factors) }
    var userScales: SparseProduct.Scales {
      unsafe SparseProduct.Scales(outputs: scales.pointer, inputs: scales.pointer)
    }
    var itemScales: SparseProduct.Scales { userScales }
  }
}
