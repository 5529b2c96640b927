package import Fabric

/// How the shards lie on machines, and which ranks carry messages between machines.
package struct MachineLinks {
  /// Consecutive ranks of one machine, as many as there are.
  package struct Run {
    package let machine: Int
    package let ranks: Range<Int>
    /// The largest aligned runs of 2ᵏ shards of these ranks: sums may be taken inside them before
    /// they travel.
    package let blocks: [Range<Int>]
  }

  package let map: MachineMap
  /// All runs, in the order of their ranks and hence of their shards.
  package let runs: [Run]
  /// The ranks of each machine, ascending.
  package let ranks: [[Int]]
  /// The place of each rank among those of its machine.
  package let places: [Int]

  package init(_ map: MachineMap, tree: ShardTree) {
    self.map = map
    let machines = map.machines
    ranks = (0..<map.machineCount).map { machine in
      machines.indices.filter { machines[$0] == machine }
    }
    places = machines.indices.map { rank in
      machines[..<rank].count { $0 == machines[rank] }
    }
    var runs: [Run] = []
    var start = 0
    for end in 1...machines.count where end == machines.count || machines[end] != machines[start] {
      let shards = tree.shards(of: start).lowerBound..<tree.shards(of: end - 1).upperBound
      runs.append(
        Run(machine: machines[start], ranks: start..<end, blocks: ShardTree.blocks(in: shards)))
      start = end
    }
    self.runs = runs
  }

  /// The rank of `machine` that sends its partial sums to `rank`, on another machine, and receives
  /// the rows of `rank` for it: the ranks elsewhere are dealt to a machine's ranks in turn.
  package func agent(of rank: Int, on machine: Int) -> Int {
    let elsewhere = map.machines[..<rank].count { $0 != machine }
    return ranks[machine][elsewhere % ranks[machine].count]
  }

  /// The ranks elsewhere that `rank` is the agent of.
  package func clients(of rank: Int) -> [Int] {
    let machine = map.machines[rank]
    let (place, count) = (places[rank], ranks[machine].count)
    let elsewhere = map.machines.indices.filter { map.machines[$0] != machine }
    return stride(from: place, to: elsewhere.count, by: count).map { elsewhere[$0] }
  }

  /// The agents of `rank`, one on each other machine.
  package func agents(of rank: Int) -> [Int] {
    (0..<map.machineCount).filter { $0 != map.machines[rank] }.map { agent(of: rank, on: $0) }
  }
}
