import MPI
import TestSupport
import Testing

@Suite struct LauncherTests {
  @Test(arguments: [
    ([:], false),
    (["OMPI_COMM_WORLD_SIZE": "1"], true),
    (["PMI_RANK": "0", "PMI_SIZE": "2"], true),
    (["PMIX_RANK": "0"], true),
    // Perhaps a batch script; whether the ranks are there, only MPI can tell.
    (["SLURM_NTASKS": "4", "SLURM_PROCID": "0"], true),
    (["SLURM_NTASKS": "1", "SLURM_PROCID": "0"], false),
    (["SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "0"], true),
  ])
  func launchersAreRecognised(environment: [String: String], isPresent: Bool) {
    #expect(Launcher.isPresent(in: environment) == isPresent)
  }

  @Test(arguments: [
    ([:], 1), ([:], 4),
    (["OMPI_COMM_WORLD_SIZE": "4"], 4),
    (["PMI_SIZE": "1"], 1),
    (["OMPI_COMM_WORLD_SIZE": "two"], 1),
    // The innermost launcher counts: mpirun inside a step of Slurm or inside another's rank.
    (["OMPI_COMM_WORLD_SIZE": "1", "SLURM_STEP_NUM_TASKS": "3", "SLURM_PROCID": "0"], 1),
    (["OMPI_COMM_WORLD_SIZE": "2", "PMI_SIZE": "1"], 2),
    (["OMPI_COMM_WORLD_SIZE": "2", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"], 2),
  ])
  func agreementIsSilent(environment: [String: String], worldSize: Int) {
    #expect(Launcher.disagreement(environment: environment, worldSize: worldSize) == nil)
  }

  @Test(arguments: [
    (["OMPI_COMM_WORLD_SIZE": "2"], 1, "OMPI_COMM_WORLD_SIZE=2"),
    (["PMI_SIZE": "4"], 1, "PMI_SIZE=4"),
    (["SLURM_STEP_NUM_TASKS": "3", "SLURM_PROCID": "2"], 1, "SLURM_STEP_NUM_TASKS=3"),
    (["SLURM_NTASKS": "4", "SLURM_PROCID": "0"], 1, "SLURM_NTASKS=4"),
    // A variable left over from elsewhere.
    (["OMPI_COMM_WORLD_SIZE": "1"], 2, "OMPI_COMM_WORLD_SIZE=1"),
  ])
  func disagreementSaysWhatToDo(
    environment: [String: String], worldSize: Int, variable: String
  ) throws {
    let message = try #require(
      Launcher.disagreement(environment: environment, worldSize: worldSize))
    #expect(message.contains(variable))
    #expect(message.contains("MPI sees \(worldSize)"))
    #expect(message.contains("mpirun of the MPI library"))
    #expect(!message.contains("\n"))
  }

  @Test func aRankOfAnotherLibraryRefusesToRun() throws {
    let outcome = try runProcess(
      rankChecks, ["size", "-"], environment: ["OMPI_COMM_WORLD_SIZE": "2"])
    #expect(outcome.status == 3)
    #expect(outcome.standardOutput.isEmpty)
    #expect(
      outcome.standardError.contains("the launcher announced 2 ranks (OMPI_COMM_WORLD_SIZE=2)"))
  }
}
