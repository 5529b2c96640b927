import Measuring
import Storage
import Testing

@Suite struct MachineTests {
  @Test func processorNameWithItsNumbers() {
    let text = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n"
    #expect(ProcessorText.name(in: text) == "AMD EPYC (family 25, model 1)")
    #expect(ProcessorText.name(in: "model name : X\n") == "X")
    #expect(ProcessorText.name(in: "") == nil)
  }

  @Test func kibibytesOfALine() {
    let text = "VmHWM:\t  1234 kB\nMemAvailable:   2 kB\n"
    #expect(ProcessorText.kibibytes("VmHWM", in: text) == 1234 << 10)
    #expect(ProcessorText.kibibytes("MemAvailable", in: text) == 2048)
    #expect(ProcessorText.kibibytes("Mem", in: text) == nil)
  }

  @Test func chosenWord() {
    #expect(ProcessorText.chosen("always [madvise] never") == "madvise")
    #expect(ProcessorText.chosen("") == "")
  }

  @Test func rooflineTakesTheNearerRoof() {
    let roof = Roofline(bandwidth: 10, arithmetic: 100)
    #expect(roof.leastSeconds(KernelWork(rows: 1, bytes: 20, operations: 100)) == 2)
    #expect(roof.leastSeconds(KernelWork(rows: 1, bytes: 1, operations: 300)) == 3)
    #expect(roof.limit(intensity: 2) == 20)
    #expect(roof.limit(intensity: 1000) == 100)
  }

  @Test func memoryBoundCountsEachPart() {
    let mebibyte = 1 << 20
    let bytes = MemoryBound.bytes(
      parameters: 5 * mebibyte, state: 4 * mebibyte, dictionaries: mebibyte)
    // 1.3 is no binary fraction: one rounding of each product and sum.
    #expect(abs(bytes - 77 * Double(mebibyte)) <= 2 * bytes.ulp)
  }

  @Test func childrenAreAccounted() throws {
    let cost = try ChildProcess.run(
      ["sh", "-c", "echo $WORD; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"],
      environment: ["WORD": "hello"])
    #expect(cost.output == "hello\n")
    #expect(cost.processorSeconds > 0)
    #expect(cost.wallSeconds > 0)
    #expect(cost.peakBytes > 0)
  }

  @Test func failingChildrenSayWhy() {
    #expect {
      try ChildProcess.run(["sh", "-c", "echo first >&2; echo reason >&2; exit 3"])
    } throws: { error in
      "\(error)".hasSuffix("ended with status 3: reason")
    }
    #expect {
      try ChildProcess.run([
        "sh", "-c", "echo 'x: error: why' >&2; echo advice >&2; echo -- >&2; exit 1",
      ])
    } throws: { error in
      "\(error)".hasSuffix("status 1: x: error: why")
    }
    #expect {
      try ChildProcess.run(["no-such-program-anywhere"])
    } throws: { error in
      (error as? Failure)?.kind == .inputOutput && "\(error)".contains("no-such-program-anywhere")
    }
    #expect {
      try ChildProcess.run(["sh", "-c", "kill -KILL $$"])
    } throws: { error in
      "\(error)".contains("status 137")
    }
  }
}
