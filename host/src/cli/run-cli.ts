import { Command, CommanderError } from 'commander';
import { ConfigurationError, printProblem } from '../config/configuration-error.js';
import { nearest } from '@entrepot/core/engine';
import { add, addForServer, BY_OPTION, FILE_OPTION, JSON_OPTION, type Run } from './command-options.js';
import { EXIT, type CommandContext } from './context.js';
import { failureText } from './failure-text.js';
import { hostVersion } from '../host-version.js';
import { keyCommands } from './key-commands.js';
import { spaceCommands } from './space-commands.js';

/**
 * Runs one command line.
 * @param words of the command line, without the program
 * @returns the exit code
 */
export async function runCli(words: readonly string[], context: CommandContext): Promise<number> {
  let code: number = EXIT.ok;
  const program = commands(context, (load, name, ...first) => async (...given) => {
    const command = (await load())[name] as (...given: readonly unknown[]) => Promise<number>;
    // The last one is the command itself.
    code = await command(...first, ...given.slice(0, -1), context);
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

function commands(context: CommandContext, run: Run): Command {
  const program = new Command('entrepot')
    .description('A caching, verifying package proxy for every package manager of an organisation.')
    .version(hostVersion(), '-V, --version', 'print the version of the server')
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => context.write(text.trimEnd()),
      writeErr: (text) => context.writeError(text.trimEnd()),
    })
    .showHelpAfterError('(entrepot --help lists the commands)');
  program
    .command('serve', { isDefault: true })
    .description('serve the repositories until SIGTERM or SIGINT')
    .option(...FILE_OPTION)
    .action(run(() => import('./serve.js'), 'serve'));
  add(program, 'validate', 'check the configuration, plugins and their options included; exit 78 when it is invalid')
    .option(...FILE_OPTION)
    .action(run(() => import('./validate.js'), 'validate'));
  add(program, 'init', 'write a commented configuration from the client settings of this machine')
    .option('-o, --output <file>', 'file to write; - for standard output', 'entrepot.yaml')
    .option('--force', 'overwrite an existing file')
    .action(run(() => import('./init.js'), 'init'));
  add(program, 'password', 'print a hash of the password on standard input, for the users of a repository').action(
    run(() => import('./password.js'), 'password'),
  );
  add(program, 'version', 'print the versions of the server, its core and its plugins')
    .option(...FILE_OPTION)
    .option(...JSON_OPTION)
    .action(run(() => import('./version.js'), 'version'));
  add(program, 'gen-index', 'print the index of a hosted Helm repository')
    .argument('<repository>', 'name of the repository in the configuration')
    .option(...FILE_OPTION)
    .option('--tenant <tenant>', 'print the index of this tenant')
    .action(run(() => import('./gen-index.js'), 'genIndex'));
  add(program, 'doctor', 'check configuration, plugins, storage, upstreams and clock; exit 1 when a check fails')
    .option(...FILE_OPTION)
    .option(...JSON_OPTION)
    .action(run(() => import('./doctor.js'), 'doctor'));
  add(program, 'health', 'ask the server of this machine whether it is ready; exit 1 when it is not')
    .option(...FILE_OPTION)
    .action(run(() => import('./health.js'), 'health'));
  add(program, 'scan-worker', 'run the scans that servers on the same database request, until SIGTERM or SIGINT')
    .option(...FILE_OPTION)
    .action(run(() => import('./scan-worker.js'), 'scanWorker'));
  addForServer(program, 'configuration', 'print the configuration in force, without its secrets')
    .option(...JSON_OPTION)
    .action(run(() => import('./configuration.js'), 'configuration'));
  keyCommands(program, run);
  spaceCommands(program, run);
  policyCommands(program, run);
  exceptionCommands(program, run);
  quarantineCommands(program, run);
  return program;
}

/** Commands that query policy, most of them at a running server. */
function policyCommands(program: Command, run: Run): void {
  const inquire = () => import('./inquire.js');
  const policy = add(program, 'policy', 'print and check policies').exitOverride();
  add(policy, 'show [preset]', 'print a preset, or the policy of the configuration')
    .option(...FILE_OPTION)
    .action(run(() => import('./policy.js'), 'policyShow'));
  add(policy, 'check <file>', 'check a policy file; exit 78 when it is invalid').action(
    run(() => import('./policy.js'), 'policyCheck'),
  );
  addForServer(
    program,
    'explain <purl>',
    'explain why a version is allowed or refused; also takes the URL of an explanation',
  )
    .option('--repository <name>', 'in one repository')
    .option(...JSON_OPTION)
    .action(run(inquire, 'explain'));
  addForServer(program, 'simulate <file>', 'evaluate a policy file against past downloads')
    .option('--days <days>', 'downloads of the last days', '30')
    .option(...JSON_OPTION)
    .action(run(inquire, 'simulate'));
  addForServer(
    program,
    'check <file>',
    'judge the components of a bill of materials (CycloneDX or SPDX, as JSON); exit 3 when policy refuses one',
  )
    .option('--repository <name>', 'in one repository')
    .option(...JSON_OPTION)
    .action(run(inquire, 'check'));
  addForServer(
    program,
    'impact <what>',
    'list stored copies and downloads of a version (a package URL), or of all that an advisory affects',
  )
    .option('--csv', 'downloads as CSV')
    .option(...JSON_OPTION)
    .action(run(inquire, 'impact'));
}

function exceptionCommands(program: Command, run: Run): void {
  const decide = () => import('./decide.js');
  const exceptions = add(program, 'exceptions', 'manage exceptions from rules').exitOverride();
  addForServer(exceptions, 'list', 'list exceptions with their expiry and last use')
    .option('--active', 'only those in force')
    .option('--ends-within <duration>', 'only those in force that end within it, such as 7d')
    .option('--advisory <id>', 'only those for this advisory')
    .option('--kind <kind>', 'only risk-accepted, or false-positive')
    .action(run(decide, 'exceptionsList'));
  addForServer(exceptions, 'show <id>', 'print an exception, and how it was changed').action(
    run(decide, 'exceptionsShow'),
  );
  addForServer(exceptions, 'change <id>', 'change an exception; a later end needs new approvals')
    .option('--expires <when>', 'a date, or a duration from now on, such as 30d')
    .option('--reason <text>', 'why')
    .option('--ticket <text>', 'reference to a ticket')
    .option(...BY_OPTION)
    .action(run(decide, 'exceptionsChange'));
  addForServer(exceptions, 'add', 'add an exception')
    .requiredOption('--reason <text>', 'why')
    .requiredOption('--expires <when>', 'a date, or a duration such as 30d')
    .option('--purl <purls...>', 'package URLs, with * for any characters')
    .option('--repository <names...>', 'only in these repositories')
    .option('--rule <ids...>', 'only for these rules')
    .option('--advisory <ids...>', 'only findings of these advisories')
    .option('--false-positive', 'the findings are false positives (default: the risk is accepted)')
    .option('--ticket <text>', 'reference to a ticket')
    .option('--id <id>', 'id of the exception (default: generated)')
    .option(...BY_OPTION)
    .action(run(decide, 'exceptionsAdd'));
  addForServer(exceptions, 'approve <id>', 'approve an exception that somebody else has added')
    .option(...BY_OPTION)
    .action(run(decide, 'exceptionsApprove'));
  addForServer(exceptions, 'off <id>', 'switch an exception off without removing it').action(
    run(decide, 'exceptionsSwitch', 'off'),
  );
  addForServer(exceptions, 'on <id>', 'switch an exception on again, until it expires').action(
    run(decide, 'exceptionsSwitch', 'on'),
  );
  addForServer(exceptions, 'remove <id>', 'remove an exception').action(run(decide, 'exceptionsRemove'));
}

function quarantineCommands(program: Command, run: Run): void {
  const decide = () => import('./decide.js');
  const quarantine = add(program, 'quarantine', 'decide on held versions').exitOverride();
  addForServer(quarantine, 'list', 'list held versions, and decisions on them')
    .option('--state <state>', 'held, released or denied')
    .action(run(decide, 'quarantineList'));
  addForServer(quarantine, 'release <purl>', 'allow a version that rules hold')
    .requiredOption('--repository <name>', 'the repository')
    .requiredOption('--reason <text>', 'why')
    .option(...BY_OPTION)
    .option('--expires <when>', 'a date, or a duration such as 30d')
    .action(run(decide, 'quarantineDecide', 'release'));
  addForServer(quarantine, 'deny <purl>', 'deny a version, whatever the rules say')
    .requiredOption('--repository <name>', 'the repository; * for all')
    .requiredOption('--reason <text>', 'why')
    .option(...BY_OPTION)
    .action(run(decide, 'quarantineDecide', 'deny'));
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
  context.writeError(`entrepot: ${failureText(error)}`);
  return EXIT.failed;
}
