import type { PrometheusMetrics } from '../drivers/metrics/prometheus.js';
import { isOurs, tell } from './seat.js';

/** The longest wait for the metrics of all workers; milliseconds. */
const PATIENCE = 10_000;

/** The metrics of all workers of this machine, by their supervisor. */
export class WorkerMetrics {
  readonly #own: PrometheusMetrics;
  readonly #waiting = new Map<number, (text: string) => void>();
  #asked = 0;

  constructor(own: PrometheusMetrics) {
    this.#own = own;
    process.on('message', (message: unknown) => {
      if (!isOurs(message)) return;
      if (message.entrepot === 'metrics') this.#waiting.get(message.id)?.(message.text);
      if (message.entrepot === 'collect') {
        const { id } = message;
        own.collect().then(
          (metrics) => tell({ entrepot: 'collected', id, metrics }),
          // Then they are missing in what the supervisor adds up.
          () => tell({ entrepot: 'collected', id, metrics: [] }),
        );
      }
    });
  }

  get contentType(): string {
    return this.#own.contentType;
  }

  /** All metrics as text; those of this worker alone where its supervisor does not answer. */
  async render(): Promise<string> {
    const id = (this.#asked += 1);
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#waiting.set(id, resolve);
        timer = setTimeout(() => this.#own.render().then(resolve, reject), PATIENCE);
        tell({ entrepot: 'metrics?', id });
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }
}
