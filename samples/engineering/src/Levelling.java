package example.larkmoor.field;

import java.time.Instant;
import java.util.List;
import java.util.OptionalDouble;

/** A levelling: dips against a benchmark that fix a gauge's offset. */
public record Levelling(String gauge, String benchmark, double benchmarkHeight, List<Dip> dips) {

    /** One dip: the distance from the benchmark down to the water, in metres. */
    public record Dip(Instant time, double distance) {}

    /** Largest difference between dips that is accepted, in metres. */
    public static final double TOLERANCE = 0.010;

    public Levelling {
        if (dips.size() < 3) {
            throw new IllegalArgumentException("a levelling needs three dips, got " + dips.size());
        }
        dips = List.copyOf(dips);
    }

    /** The level above local datum, if the dips agree. */
    public OptionalDouble level() {
        double smallest = dips.stream().mapToDouble(Dip::distance).min().orElseThrow();
        double largest = dips.stream().mapToDouble(Dip::distance).max().orElseThrow();
        if (largest - smallest > TOLERANCE) {
            return OptionalDouble.empty();
        }
        double mean = dips.stream().mapToDouble(Dip::distance).average().orElseThrow();
        return OptionalDouble.of(benchmarkHeight - mean);
    }

    /** What has to be added to the gauge's raw level. */
    public OptionalDouble offset(double rawLevel) {
        OptionalDouble level = level();
        return level.isPresent() ? OptionalDouble.of(level.getAsDouble() - rawLevel) : level;
    }
}
