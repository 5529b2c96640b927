import Fabric
import Sharding
import Testing

@Suite struct MachineLinksTests {
  private static func links(_ layout: MachineLayout, ranks: Int, rank: Int) -> MachineLinks {
    MachineLinks(
      MachineMap(keys: layout.machines(ranks: ranks), rank: rank),
      tree: ShardTree(shardCount: shardCount, rankCount: ranks))
  }

  @Test(arguments: MachineLayout.allCases, rankCounts)
  func everyRankHasOneAgentOnEachOtherMachine(layout: MachineLayout, ranks: Int) {
    let links = Self.links(layout, ranks: ranks, rank: 0)
    let machines = links.map.machines
    for rank in 0..<ranks {
      let agents = links.agents(of: rank)
      #expect(
        Set(agents.map { machines[$0] }) == Set(machines).subtracting([machines[rank]]))
      #expect(agents.count == links.map.machineCount - 1)
      #expect(agents.allSatisfy { links.clients(of: $0).contains(rank) })
      #expect(links.clients(of: rank).allSatisfy { links.agents(of: $0).contains(rank) })
    }
    // Neighbours share the work evenly.
    for neighbours in links.ranks {
      let counts = neighbours.map { links.clients(of: $0).count }
      #expect((counts.max() ?? 0) - (counts.min() ?? 0) <= 1, "\(counts)")
      #expect(counts.reduce(0, +) == ranks - neighbours.count)
    }
  }

  @Test(arguments: MachineLayout.allCases, rankCounts)
  func runsCoverAllShardsInOrder(layout: MachineLayout, ranks: Int) {
    let links = Self.links(layout, ranks: ranks, rank: ranks - 1)
    let tree = ShardTree(shardCount: shardCount, rankCount: ranks)
    #expect(links.runs.flatMap { Array($0.ranks) } == Array(0..<ranks))
    #expect(links.runs.flatMap { $0.blocks.flatMap { Array($0) } } == Array(0..<shardCount))
    for (run, next) in zip(links.runs, links.runs.dropFirst()) {
      #expect(run.machine != next.machine)
    }
    for run in links.runs {
      #expect(run.ranks.allSatisfy { links.map.machines[$0] == run.machine })
      // What a rank adds up is part of what its machine adds up.
      for block in run.ranks.flatMap({ tree.blocks(of: $0) }) {
        #expect(run.blocks.contains { $0.clamped(to: block) == block })
      }
    }
  }

  @Test func pairsOfRanksAreOneBlock() {
    let links = Self.links(.pairs, ranks: 4, rank: 2)
    #expect(links.runs.map(\.blocks) == [[0..<8], [8..<16]])
    #expect((0..<4).map { links.agents(of: $0) } == [[2], [3], [0], [1]])
  }
}
