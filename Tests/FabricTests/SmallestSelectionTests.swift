import Fabric
import Testing

@Suite struct SmallestSelectionTests {
  /// Whether each value is kept, by sorting.
  private static func expected(_ values: [UInt32], keeping kept: Int) -> [Bool] {
    let order = values.indices.sorted { (values[$0], $0) < (values[$1], $1) }
    let chosen = Set(order.prefix(kept))
    return values.indices.map { chosen.contains($0) }
  }

  /// Whether each value is kept, the list dealt to ranks in parts of unequal length.
  private static func selected(
    _ values: [UInt32], keeping kept: Int, ranks: Int
  ) throws -> [Bool] {
    let parts = try LocalGroup.run(ranks: ranks) { group in
      // Some ranks have none.
      let bounds = (0...ranks).map { $0 * $0 * values.count / (ranks * ranks) }
      let own = Array(values[bounds[group.rank]..<bounds[group.rank + 1]])
      let selection = SmallestSelection(group: group)
      // Even a rank without values takes part.
      var buffer = own + [0]
      let cut = unsafe try selection.cut(&buffer, count: own.count, keeping: kept)
      var ties = cut.ties
      return own.map { value in
        if value == cut.bound { ties -= 1 }
        return value < cut.bound || (value == cut.bound && ties >= 0)
      }
    }
    return parts.flatMap { $0 }
  }

  private static let lists: [(name: String, values: [UInt32])] = [
    ("all equal", [UInt32](repeating: 0x3f31_7218, count: 23)),
    ("few", (0..<100).map { $0 * 7 % 4 }),
    ("losses", (0..<200).map { (Float($0 * 71 % 97) * 0.0437).bitPattern }),
    ("edges", [0x7fff_ffff, 0, 0x7f80_0000, 1, 0x000f_ffff, 0x0010_0000, 0x3ff, 0x400, 0]),
    ("half zero", (0..<64).map { $0 % 2 == 0 ? 0 : Float($0).bitPattern }),
  ]

  @Test(arguments: lists.indices, [1, 2, 3, 4, 5])
  func theSameOnesAreKeptOnAnyRanks(list: Int, ranks: Int) throws {
    let (name, values) = Self.lists[list]
    for kept in [0, 1, 2, values.count / 3, values.count / 2, values.count - 1] {
      #expect(
        try Self.selected(values, keeping: kept, ranks: ranks)
          == Self.expected(values, keeping: kept), "\(name), \(kept) of \(values.count)")
    }
  }

  @Test func fourCollectives() throws {
    let counts = try LocalGroup.run(ranks: 3) { group in
      let selection = SmallestSelection(group: group)
      let before = group.traffic
      var values: [UInt32] = [3, 1, UInt32(group.rank)]
      _ = unsafe try selection.cut(&values, count: 3, keeping: 5)
      return [
        group.traffic.collectives - before.collectives, group.traffic.bytesSent - before.bytesSent,
      ]
    }
    #expect(counts == [[Int]](repeating: [4, 8 * (2048 + 1024 + 1024) + 8], count: 3))
  }
}
