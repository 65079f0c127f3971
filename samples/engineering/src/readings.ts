/** Reading levels from the Hub's API, page by page. */

export interface Reading {
  time: string;
  level: number;
  quality: string[];
}

export interface Page {
  readings: Reading[];
  next?: string;
}

export class HubError extends Error {
  constructor(readonly status: number, readonly gauge: string) {
    super(`the Hub answered ${status} for gauge ${gauge}`);
  }
}

export class HubClient {
  constructor(private readonly base: string, private readonly key: string) {}

  /** All readings of a gauge since a time, oldest first. Pages are fetched as they are needed. */
  async *readings(gauge: string, since: Date, goodOnly = true): AsyncGenerator<Reading> {
    let cursor: string | undefined;
    do {
      const page = await this.page(gauge, since, goodOnly, cursor);
      yield* page.readings;
      cursor = page.next;
    } while (cursor);
  }

  private async page(gauge: string, since: Date, goodOnly: boolean, cursor?: string): Promise<Page> {
    const url = new URL(`/v2/gauges/${encodeURIComponent(gauge)}/readings`, this.base);
    url.searchParams.set("from", since.toISOString());
    if (goodOnly) url.searchParams.set("quality", "good");
    if (cursor) url.searchParams.set("cursor", cursor);
    const response = await fetch(url, { headers: { Authorization: `Bearer ${this.key}` } });
    if (!response.ok) throw new HubError(response.status, gauge);
    return (await response.json()) as Page;
  }
}

/** Hourly means; hours with fewer than 45 readings are left out. */
export function hourlyMeans(readings: Reading[]): Map<string, number> {
  const hours = new Map<string, number[]>();
  for (const reading of readings) {
    const hour = reading.time.slice(0, 13);
    const levels = hours.get(hour) ?? [];
    levels.push(reading.level);
    hours.set(hour, levels);
  }
  const means = new Map<string, number>();
  for (const [hour, levels] of hours) {
    if (levels.length < 45) continue;
    means.set(hour, levels.reduce((a, b) => a + b, 0) / levels.length);
  }
  return means;
}
