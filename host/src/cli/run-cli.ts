import { Command, CommanderError } from 'commander';
import { ConfigurationError, printListenAddress, printProblem } from '../config/index.js';
import { nearest } from '../config/did-you-mean.js';
import { EXIT, type CommandContext } from './context.js';
import { hostVersion } from './host-version.js';

const FILE_OPTION = [
  '-c, --config <file>',
  'the configuration file (default: $ENTREPOT_CONFIG, else entrepot.yaml here, else what is built in)',
] as const;

/**
 * Runs one command line.
 * @param words of the command line, without the program
 * @returns the exit code
 */
export async function runCli(words: readonly string[], context: CommandContext): Promise<number> {
  let code: number = EXIT.ok;
  const program = commands(context, (result) => {
    code = result;
  });
  const unknown = unknownCommand(words, program);
  if (unknown !== undefined) {
    context.writeError(unknown);
    return EXIT.usage;
  }
  try {
    await program.parseAsync(words, { from: 'user' });
    return code;
  } catch (error) {
    return report(error, context);
  }
}

function commands(context: CommandContext, finish: (code: number) => void): Command {
  const program = new Command('entrepot')
    .description('A caching, verifying package proxy for every package manager of an organisation.')
    .version(hostVersion(), '-V, --version', 'print the version of the server')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.write(text.trimEnd()),
      writeErr: (text) => context.writeError(text.trimEnd()),
    })
    .showHelpAfterError('(entrepot --help lists the commands)');

  // Commands are loaded when they are asked for: `version` need not load a server.
  program
    .command('serve', { isDefault: true })
    .description('serve the repositories until SIGTERM or SIGINT')
    .option(...FILE_OPTION)
    .action(async (options: { config?: string }) => finish(await (await import('./serve.js')).serve(options, context)));
  program
    .command('validate')
    .description('check the configuration, plugins and their options included; exit 78 when something is wrong')
    .option(...FILE_OPTION)
    .action(async (options: { config?: string }) =>
      finish(await (await import('./validate.js')).validate(options, context)),
    );
  program
    .command('init')
    .description('write a commented configuration with what is found on this machine')
    .option('-o, --output <file>', 'where to; - is standard output', 'entrepot.yaml')
    .option('--force', 'replace a file that exists')
    .action(async (options: { output?: string; force?: boolean }) =>
      finish(await (await import('./init.js')).init(options, context)),
    );
  program
    .command('password')
    .description('print a hash of the password on standard input, for the users of a repository')
    .action(async () => finish(await (await import('./password.js')).password(context)));
  program
    .command('version')
    .description('print the versions of the server, its core and its plugins')
    .option(...FILE_OPTION)
    .option('--json', 'as JSON')
    .action(async (options: { config?: string; json?: boolean }) =>
      finish(await (await import('./version.js')).version(options, context)),
    );
  program
    .command('gen-index')
    .description('print the index of a hosted Helm repository')
    .argument('<repository>', 'its name in the configuration')
    .option(...FILE_OPTION)
    .option('--tenant <tenant>', 'the index of this tenant')
    .action(async (repository: string, options: { config?: string; tenant?: string }) =>
      finish(await (await import('./gen-index.js')).genIndex(repository, options, context)),
    );
  program
    .command('doctor')
    .description('check configuration, plugins, storage, upstreams and clock; exit 1 when a check fails')
    .option(...FILE_OPTION)
    .option('--json', 'as JSON')
    .action(async (options: { config?: string; json?: boolean }) =>
      finish(await (await import('./doctor.js')).doctor(options, context)),
    );
  return program;
}

/** Without this, a misspelt command would be an argument too many for the default one. */
function unknownCommand([word]: readonly string[], program: Command): string | undefined {
  const names = [...program.commands.map((command) => command.name()), 'help'];
  if (word === undefined || word.startsWith('-') || names.includes(word)) return undefined;
  const meant = nearest(word, names);
  const hint = meant === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${meant}?`;
  return `error: unknown command ${JSON.stringify(word)}; ${hint}`;
}

/** Says in words what ended a command, and with which code the process ends. */
function report(error: unknown, context: CommandContext): number {
  // commander has written its message already; help that was asked for is no error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof ConfigurationError) {
    for (const problem of error.problems) context.writeError(printProblem(problem));
    return EXIT.configuration;
  }
  context.writeError(`entrepot: ${listenMessage(error) ?? messageOf(error)}`);
  return EXIT.failed;
}

const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there already',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not listen there',
  ENOTFOUND: 'there is no such host',
};

/** What a listener that could not be opened means; its host throws the system's error. */
function listenMessage(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { syscall, code = '', address, hostname, port } = error as ListenError;
  if (syscall !== 'listen' && syscall !== 'getaddrinfo') return undefined;
  const place = port === undefined ? hostname : printListenAddress({ host: address, port });
  return `cannot listen on ${place}: ${LISTEN_FAULTS[code] ?? code}`;
}

interface ListenError extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly hostname?: string;
  readonly port?: number;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.replace(/\s*\n\s*/g, ' ') : String(error);
}
