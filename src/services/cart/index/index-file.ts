import type { StoreFiles } from "../../../runtime/store/store-files.ts";
import type { Clock } from "../../../system/clock.ts";
import type { Config } from "../../../config/config.ts";
import { AppError } from "../../../errors.ts";
import type { Log, TopicEnds } from "../../../log/port.ts";
import { cannotBeRebuilt } from "../../../runtime/actor/actor-errors.ts";
import type { Projections } from "../../../runtime/projections.ts";
import { type ClaimState, type State, statePath } from "../../../runtime/store/state-dir.ts";
import type { Logger } from "../../../telemetry/logger.ts";

export interface IndexFileOptions {
  readonly config: Config;
  readonly log: Log;
  readonly claimState: ClaimState;
  readonly projections: Projections;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Why the existing file must not be used, if it must not. */
  readonly damage?: string | undefined;
}

/**
 * The one file that holds the index of all partitions. A file that cannot be used is left where it is as long as the
 * log cannot rebuild any of it. If the log can rebuild some partitions, the file is set aside so that those need not
 * wait; the others then halt, and say where the file is.
 *
 * ```
 *  made ──open()──▶ claimed ──the file is usable──▶ open ──release()──▶ released
 *                      ├── unusable, the log can rebuild a partition ──▶ set aside ──▶ open, with a new file
 *                      └── unusable, the log can rebuild nothing ──▶ claimed, and the caller halts the partitions
 * ```
 */
export class IndexFile {
  #damage: string | undefined;
  #state: State | undefined;
  #logId = "";

  constructor(private readonly options: IndexFileOptions) {
    this.#damage = options.damage;
  }

  /** The file's path; until this process has claimed its own directory, the path of the one that holds all of them. */
  get path(): string {
    return this.#state?.path(this.#name) ?? statePath(this.options.config.data_dir, this.#logId);
  }

  get #name(): string {
    return `${this.options.config.orders_topic}.sqlite`;
  }

  /**
   * Resolves with an error if there is a file that can neither be used nor rebuilt. Rejects if opening may work later.
   */
  async open(logId: string): Promise<StoreFiles | AppError> {
    const { claimState, clock, logger } = this.options;
    this.#logId = logId;
    this.#state ??= claimState(logId);
    const opened = this.#tryOpen(this.#state);
    if ("files" in opened) return opened.files;
    const reason = opened.unusable;
    const late = await this.#lateStart();
    if (late !== undefined) return cannotBeRebuilt(this.path, reason, late);
    const path = this.#state.setAside(this.#name, clock.wall_ms());
    this.#damage = undefined;
    logger.warn({ path, reason }, "The index was not usable and was set aside; it is rebuilt from the log.");
    const anew = this.#tryOpen(this.#state);
    if ("files" in anew) return anew.files;
    throw new AppError("STORE_FAILED", `a new index is not usable: ${anew.unusable}`);
  }

  release(): void {
    this.#state?.release();
  }

  #tryOpen(state: State) {
    const { projections, config } = this.options;
    if (this.#damage !== undefined) return { unusable: this.#damage };
    return state.open(this.#name, projections, { logId: this.#logId, topic: config.orders_topic }, "exclusive");
  }

  /**
   * Says where the log begins if that is too late to rebuild any partition that can be asked, and the settings do not
   * accept that.
   */
  async #lateStart(): Promise<string | undefined> {
    const { log, config } = this.options;
    if (config.log_start === "accept") return undefined;
    const starts = startsOf(await log.ends(config.orders_topic));
    if (starts.some((startOffset) => startOffset === 0)) return undefined;
    return `begins at ${starts.length === 1 ? "offset" : "the offsets"} ${starts.join(", ")}`;
  }
}

/** The start offsets of the partitions that can be asked. Throws if none can. */
const startsOf = ({ partitions }: TopicEnds): number[] => {
  const starts = partitions.flatMap((ends) => ("unavailable" in ends ? [] : ends.startOffset));
  if (starts.length > 0) return starts;
  const why = partitions.map((ends) => ("unavailable" in ends ? ends.unavailable : ""))[0] ?? "The log does not know the topic.";
  throw new AppError("LOG_UNAVAILABLE", `It is not known where the log begins: ${why}`);
};
